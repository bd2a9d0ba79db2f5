//! A key set from a real file: how it is replaced, and what does not replace it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::super::super::jwt::key_set::MAX_BYTES;
use super::super::*;
use super::{kids, open, run, set};

/// Waits, on the paused clock, until the source has read the file again, and checks its set and its number of changes.
async fn check(source: &KeySource, changes: &mut UnboundedReceiver<()>, expected: &str, count: usize) {
    sleep(3 * POLL).await;
    assert_eq!(kids(source), [expected]);
    let seen = std::iter::from_fn(|| changes.try_recv().ok()).count();
    assert_eq!(seen, count, "{expected}");
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_again_and_only_a_valid_set_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    fs::write(&path, set(&["one"])).unwrap();
    let (source, mut changes) = open(Location::File(path.clone()), Timing::default()).unwrap();
    assert_eq!(kids(&source), ["one"]);
    let opened = source.last_success().unwrap();
    let _running = run(&source);
    check(&source, &mut changes, "one", 0).await;
    assert!(source.last_success().unwrap() > opened);
    // By another file.
    let replacement = directory.path().join("new");
    fs::write(&replacement, set(&["two"])).unwrap();
    fs::rename(&replacement, &path).unwrap();
    check(&source, &mut changes, "two", 1).await;
    // The same content again.
    fs::write(&path, set(&["two"])).unwrap();
    check(&source, &mut changes, "two", 0).await;
    assert_eq!(source.failures(), 0);
    for garbage in [&b""[..], b"garbage", b"\xff", &set(&["three"]).as_bytes()[..50], &[b' '; MAX_BYTES + 1]]
    {
        fs::write(&path, garbage).unwrap();
        let before = source.failures();
        check(&source, &mut changes, "two", 0).await;
        assert!(source.failures() > before);
    }
    fs::remove_file(&path).unwrap();
    check(&source, &mut changes, "two", 0).await;
    fs::create_dir(&path).unwrap();
    check(&source, &mut changes, "two", 0).await;
    fs::remove_dir(&path).unwrap();
    let (failures, success) = (source.failures(), source.last_success());
    fs::write(&path, set(&["four"])).unwrap();
    check(&source, &mut changes, "four", 1).await;
    assert_eq!(source.failures(), failures);
    assert!(source.last_success() > success);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_replaced_as_kubernetes_does() {
    let directory = tempfile::tempdir().unwrap();
    let mount = directory.path();
    let version = |name: &str, kid: &str| {
        fs::create_dir(mount.join(name)).unwrap();
        fs::write(mount.join(name).join("jwks.json"), set(&[kid])).unwrap();
    };
    version("..one", "one");
    symlink("..one", mount.join("..data")).unwrap();
    symlink(Path::new("..data").join("jwks.json"), mount.join("jwks.json")).unwrap();
    let (source, mut changes) = open(Location::File(mount.join("jwks.json")), Timing::default()).unwrap();
    let _running = run(&source);
    check(&source, &mut changes, "one", 0).await;
    version("..two", "two");
    symlink("..two", mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    fs::remove_dir_all(mount.join("..one")).unwrap();
    check(&source, &mut changes, "two", 1).await;
    assert_eq!(source.failures(), 0);
}

#[test]
fn a_file_without_a_set_at_the_start_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let check = |name: &str, content: Option<&[u8]>, expected: &str| {
        let path = directory.path().join(name);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        let error = open(Location::File(path.clone()), Timing::default()).unwrap_err().to_string();
        assert_eq!(error, format!("{}: {expected}", path.display()));
    };
    check("absent", None, "No such file or directory (os error 2)");
    check("", None, "neither a file nor a link to one");
    check("empty", Some(b" \n"), "the key set is empty");
    check("long", Some(&[b' '; MAX_BYTES + 1]), "more than the 1048576 bytes allowed");
    check("binary", Some(b"\xff"), "the key set is not UTF-8 text");
    let secret = r#"the key set is not JSON: it starts with "s", and the error is in line 1, column 1"#;
    check("secret", Some(b"secret"), secret);
}
