//! Documents in SDMX-JSON: the results are those of the same documents in SDMX-ML.

use std::path::{Path, PathBuf};

use dataflow_tests::binary::{self, Service};
use dataflow_tests::{example, in_repository, sdmx_json};

/// Writes the SDMX-JSON of a file in SDMX-ML into a directory.
fn converted(directory: &Path, file: &Path) -> PathBuf {
    let path = directory.join(file.file_name().unwrap()).with_extension("json");
    std::fs::write(&path, sdmx_json::of_xml(&std::fs::read_to_string(file).unwrap())).unwrap();
    path
}

#[test]
fn documents_in_json_have_the_same_results() {
    let directory = tempfile::tempdir().unwrap();
    let xml = [PathBuf::from(example()), in_repository("examples/istat-themes.xml")];
    let json = xml.each_ref().map(|file| converted(directory.path(), file));
    let analyze = |catalogue: &Path, themes: &Path, flags: &[&str]| {
        let [catalogue, themes] = [catalogue, themes].map(|path| path.to_str().unwrap());
        let arguments = ["analyze", catalogue, "--themes", themes, "--format", "csv"];
        let ended = binary::run(&[&arguments[..], flags].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout
    };
    let expected = analyze(&xml[0], &xml[1], &[]);
    assert_eq!(expected.matches(",THEME,").count(), 2, "{expected}");
    assert_eq!(analyze(&json[0], &json[1], &[]), expected);
    assert_eq!(analyze(&json[0], &xml[1], &[]), expected);
    assert_eq!(analyze(&xml[0], &json[1], &[]), expected);
    // The predecessor's rules, whose texts are others; and a running mesh.
    let legacy = ["--rules", "legacy"];
    assert_eq!(analyze(&json[0], &json[1], &legacy), analyze(&xml[0], &xml[1], &legacy));
    let up = Service::start("up", &[]);
    let endpoint = format!("http://{}", up.address);
    assert_eq!(analyze(&json[0], &json[1], &["--endpoint", &endpoint]), expected);
    assert_eq!(up.stop().0, 0);
}
