//! `dataflow keys` on a running mesh, as people and scripts use it.

use dataflow_tests::binary::{self, Ended, Service};
use serde_json::Value;

#[test]
fn a_key_is_created_for_a_script_and_listed_and_revoked() {
    let up = Service::start("up", &[]);
    let endpoint = format!("http://{}", up.address);
    let run = |arguments: &[&str]| -> Ended {
        binary::run(&[&["keys"], arguments, &["--endpoint", &endpoint]].concat())
    };
    let listed = || -> Value {
        let ended = run(&["list", "--format", "json"]);
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let made = run(&["create", "--name", "nightly", "--scope", "write", "--tenant", "acme", "--ttl", "90d"]);
    let secret = made.stdout.strip_suffix('\n').unwrap();
    assert!(made.code == 0 && secret.starts_with("dfk_") && secret.len() == 47, "{made:?}");
    let about = "(nightly): scope write, tenant acme, expires at 2";
    assert!(made.stderr.starts_with("k-") && made.stderr.contains(about), "{made:?}");
    assert!(!made.stderr.contains("dfk_"), "{made:?}");

    let whole = run(&["create", "--name", "whole", "--scope", "read", "--format", "json"]);
    let whole: Value = serde_json::from_str(&whole.stdout).unwrap();
    assert!(whole["secret"].as_str().unwrap().starts_with("dfk_"), "{whole}");
    assert_eq!((&whole["key"]["scope"], whole["key"].get("expireTime")), (&"READ".into(), None));

    let limited =
        ["create", "--name", "slow", "--scope", "read", "--rate-limit", "50/m", "--rate-burst", "7"];
    let limited = run(&limited);
    assert!(limited.stderr.contains("scope read, at most 50/m calls, does not expire"), "{limited:?}");
    let slow = listed()["keys"].as_array().unwrap().iter().find(|key| key["displayName"] == "slow").cloned();
    let slow = slow.unwrap();
    assert_eq!((&slow["rateLimit"], &slow["rateBurst"]), (&"50/m".into(), &7.into()));
    assert_eq!(run(&["delete", slow["keyId"].as_str().unwrap()]).code, 0);

    let shown = run(&["list"]);
    assert!(shown.stdout.contains("  write  acme") && shown.stdout.contains("nightly"), "{shown:?}");
    assert!(shown.stdout.contains("LAST USED") && !shown.stdout.contains("dfk_"), "{shown:?}");
    assert_eq!(listed()["keys"].as_array().unwrap().len(), 2);
    let id = whole["key"]["keyId"].as_str().unwrap();
    let deleted = run(&["delete", id, "--reason", "a test"]);
    assert_eq!((deleted.code, deleted.stdout), (0, format!("{id} is revoked\n")));
    let keys = listed();
    assert_eq!(
        (keys["keys"].as_array().unwrap().len(), &keys["keys"][0]["displayName"]),
        (1, &"nightly".into())
    );

    let again = run(&["delete", id]);
    assert!(again.code == 1 && again.stderr.contains("there is no key"), "{again:?}");
    for wrong in [
        &["create", "--name", "x"][..],
        &["create", "--name", "x", "--scope", "internal"],
        &["create", "--name", "x", "--scope", "read", "--ttl", "1s"],
        &["create", "--name", "", "--scope", "read"],
        &["create", "--name", "x", "--scope", "read", "--rate-limit", "50"],
        &["create", "--name", "x", "--scope", "read", "--rate-burst", "5"],
        &["create", "--name", "x", "--scope", "read", "--rate-limit", "5/s", "--rate-burst", "0"],
    ] {
        assert_eq!(run(wrong).code, 2, "{wrong:?}");
    }
}
