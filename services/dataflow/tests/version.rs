//! The binary prints its version. This test is here and not in `tests/` because cargo builds a binary together with the
//! tests of its package: when this test is selected, all others have a binary to run.

use std::process::Command;

#[test]
fn the_version_is_the_crates() {
    let output = Command::new(env!("CARGO_BIN_EXE_dataflow")).arg("--version").output().unwrap();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("dataflow {}\n", env!("CARGO_PKG_VERSION"))
    );
}
