//! What holds of a breaker whatever happens to it, as a property of random sequences of calls.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Act {
    Enter,
    End(usize, Outcome),
    Wait(u64),
    Open,
    Reset,
}

fn act() -> impl Strategy<Value = Act> {
    let outcome = prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Ignored)];
    prop_oneof![
        8 => Just(Act::Enter),
        8 => (any::<usize>(), outcome).prop_map(|(call, outcome)| Act::End(call, outcome)),
        4 => (0u64..8).prop_map(Act::Wait),
        1 => Just(Act::Open),
        1 => Just(Act::Reset),
    ]
}

/// Does `acts` and checks after each what must hold whatever came before.
async fn check_laws(settings: Settings, acts: Vec<Act>) {
    let breaker = breaker(settings);
    // Calls in flight, each with whether it may be a probe of the present half-open time.
    let mut calls: Vec<(Permit, bool)> = Vec::new();
    let mut changes = breaker.changes();
    for act in acts {
        let before = breaker.report();
        match act {
            Act::Enter => {
                let probing = calls.iter().filter(|(_, probe)| *probe).count();
                let entered = breaker.enter();
                let full = before.state == State::HalfOpen && probing >= settings.probes.get() as usize;
                let paused = before.next_probe.is_some_and(|wait| !wait.is_zero());
                assert_eq!(entered.is_err(), full || paused, "{before:?}");
                calls.extend(entered.ok().map(|permit| (permit, breaker.report().state == State::HalfOpen)));
            }
            Act::End(call, outcome) if !calls.is_empty() => {
                let (mut permit, _) = calls.swap_remove(call % calls.len());
                permit.outcome = outcome;
            }
            Act::End(..) => {}
            Act::Wait(seconds) => advance(Duration::from_secs(seconds)).await,
            Act::Open => breaker.open(),
            Act::Reset => breaker.reset(),
        }
        let after = breaker.report();
        if changes.has_changed().unwrap() {
            assert_eq!(*changes.borrow_and_update(), after.state);
            let probes = after.state == State::HalfOpen;
            let last = calls.len().saturating_sub(1);
            calls.iter_mut().enumerate().for_each(|(at, call)| call.1 = probes && at == last);
        }
        let Totals { calls: ended, successes, failures, .. } = after.totals;
        assert!(successes + failures <= ended);
        assert_eq!(after.next_probe.is_some(), after.state == State::Open);
        match after.state {
            State::Closed => assert!(after.failures < settings.failures.get()),
            State::HalfOpen => assert!(after.successes < settings.successes.get()),
            State::Open => assert!(after.next_probe <= Some(settings.pause)),
        }
    }
}

proptest! {
    #[test]
    fn laws_hold_after_any_calls(acts in prop::collection::vec(act(), 0..120), silence in prop::option::of(1u64..9)) {
        let settings = Settings { silence: silence.map(Duration::from_secs), ..settings() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(check_laws(settings, acts));
    }
}
