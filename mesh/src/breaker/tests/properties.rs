//! Invariants of a breaker, as a property test over random sequences of calls.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Action {
    Enter,
    End(usize, Outcome),
    Wait(u64),
    Open,
    Reset,
}

fn action() -> impl Strategy<Value = Action> {
    let outcome = prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Ignored)];
    prop_oneof![
        8 => Just(Action::Enter),
        8 => (any::<usize>(), outcome).prop_map(|(call, outcome)| Action::End(call, outcome)),
        4 => (0u64..8).prop_map(Action::Wait),
        1 => Just(Action::Open),
        1 => Just(Action::Reset),
    ]
}

/// Runs `actions` and checks the invariants after each.
async fn check_invariants(settings: Settings, actions: Vec<Action>) {
    let breaker = breaker(settings);
    // Calls in flight, each with whether it is a probe of the present half-open phase.
    let mut calls: Vec<(Permit, bool)> = Vec::new();
    let mut changes = breaker.changes();
    for action in actions {
        let before = breaker.report();
        match action {
            Action::Enter => {
                let probes_in_flight = calls.iter().filter(|(_, probe)| *probe).count();
                let entered = breaker.enter();
                let full = before.state == CircuitState::HalfOpen
                    && probes_in_flight >= settings.probes.get() as usize;
                let paused = before.next_probe.is_some_and(|wait| !wait.is_zero());
                assert_eq!(entered.is_err(), full || paused, "{before:?}");
                calls.extend(
                    entered.ok().map(|permit| (permit, breaker.report().state == CircuitState::HalfOpen)),
                );
            }
            Action::End(call, outcome) if !calls.is_empty() => {
                let (mut permit, _) = calls.swap_remove(call % calls.len());
                permit.outcome = outcome;
            }
            Action::End(..) => {}
            Action::Wait(seconds) => advance(Duration::from_secs(seconds)).await,
            Action::Open => breaker.open(),
            Action::Reset => breaker.reset(),
        }
        let after = breaker.report();
        if changes.has_changed().unwrap() {
            assert_eq!(*changes.borrow_and_update(), after.state);
            let probes = after.state == CircuitState::HalfOpen;
            let last = calls.len().saturating_sub(1);
            calls.iter_mut().enumerate().for_each(|(at, call)| call.1 = probes && at == last);
        }
        let Totals { calls: ended, successes, failures, .. } = after.totals;
        assert!(successes + failures <= ended);
        assert_eq!(after.next_probe.is_some(), after.state == CircuitState::Open);
        match after.state {
            CircuitState::Closed => assert!(after.failures < settings.failures.get()),
            CircuitState::HalfOpen => assert!(after.successes < settings.successes.get()),
            CircuitState::Open => assert!(after.next_probe <= Some(settings.pause)),
        }
    }
}

proptest! {
    #[test]
    fn invariants_hold_after_any_sequence_of_calls(
        actions in prop::collection::vec(action(), 0..120),
        silence in prop::option::of(1u64..9),
    ) {
        let settings = Settings { silence: silence.map(Duration::from_secs), ..settings() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check_invariants(settings, actions));
    }
}
