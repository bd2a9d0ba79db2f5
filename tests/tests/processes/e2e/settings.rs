//! An edit of the config service's ConfigMap, as the kubelet updates it, and its effect on other processes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dataflow_tests::binary::{self, Ended, Service};
use dataflow_tests::eventually::{TIMEOUT, eventually_blocking};
use dataflow_tests::{example, http};
use tempfile::TempDir;

/// A mounted ConfigMap: the files are symbolic links through one link, which an edit swaps.
struct ConfigMap {
    directory: TempDir,
    edits: u32,
}

// === impl ConfigMap ===

impl ConfigMap {
    fn new(files: &[(&str, &str)]) -> Self {
        let mut new = Self { directory: tempfile::tempdir().unwrap(), edits: 0 };
        new.edit(files);
        new
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Replaces all files.
    fn edit(&mut self, files: &[(&str, &str)]) {
        self.edits += 1;
        let (root, real) = (self.path(), format!("..{}", self.edits));
        fs::create_dir(root.join(&real)).unwrap();
        for (name, content) in files {
            fs::write(root.join(&real).join(name), content).unwrap();
        }
        symlink(&real, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        // The kubelet adds and removes the links of the files after the swap.
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            let kept = path.file_name().unwrap().to_str().unwrap().starts_with("..") || path.exists();
            if !kept {
                fs::remove_file(path).unwrap();
            }
        }
        for (name, _) in files.iter().filter(|(name, _)| !root.join(name).is_symlink()) {
            symlink(format!("..data/{name}"), root.join(name)).unwrap();
        }
    }
}

/// Analyzes the example with this service.
fn analyze(analysis: &Service) -> Ended {
    let endpoint = format!("http://{}", analysis.address);
    binary::run(&["analyze", &example(), "--endpoint", &endpoint])
}

fn has_logged(service: &Service, text: &str) -> bool {
    service.log().iter().any(|line| line.contains(text))
}

#[test]
fn an_edited_config_map_takes_effect_in_other_processes_or_is_rejected_completely() {
    let mut map = ConfigMap::new(&[("log", "info")]);
    let config = Service::start("config", &["--config-dir", map.path().to_str().unwrap()]);
    let url = format!("http://{}", config.address);
    let follower = Service::start("analysis", &["--config-url", &url]);
    let own = Service::start("analysis", &["--config-url", &url, "--max-document-bytes", "1MiB"]);
    assert_eq!(analyze(&follower).code, 0);

    map.edit(&[("log", "info"), ("max-document-bytes", "2KiB")]);
    eventually_blocking(TIMEOUT, "the limit is pushed", || analyze(&follower).code == 3);
    let refused = analyze(&follower).stderr;
    assert!(refused.contains("more than 2048 bytes of document"), "{refused}");
    assert_eq!(analyze(&own).code, 0, "a process's own settings take precedence");

    map.edit(&[("log", "debug"), ("max-document-bytes", "many")]);
    eventually_blocking(TIMEOUT, "the edit is rejected", || has_logged(&config, "settings: change rejected"));
    assert_eq!(analyze(&follower).code, 3, "the last valid one stays in force");
    for service in [&config, &follower, &own] {
        assert!(!has_logged(service, "\"level\":\"DEBUG\""), "no part of it is in force");
    }

    map.edit(&[("log", "debug")]);
    eventually_blocking(TIMEOUT, "the limit falls back", || analyze(&follower).code == 0);
    eventually_blocking(TIMEOUT, "all log more", || {
        [&config, &follower, &own].iter().all(|service| has_logged(service, "\"level\":\"DEBUG\""))
    });

    // The last pushed settings stay in force without the config service.
    map.edit(&[("log", "debug"), ("max-document-bytes", "2KiB")]);
    eventually_blocking(TIMEOUT, "the limit is pushed again", || analyze(&follower).code == 3);
    let (code, log) = config.stop();
    assert_eq!(code, 0, "{log:#?}");
    assert_eq!(analyze(&follower).code, 3);
}

#[tokio::test]
async fn rest_shows_the_dynamic_settings_and_their_sources() {
    let map = ConfigMap::new(&[("request-timeout", "1m 30s")]);
    let up = Service::start("up", &["--config-dir", map.path().to_str().unwrap(), "--max-depth", "9"]);
    let gateway = format!("http://{}", up.address).parse().unwrap();
    let answer = http::request(&gateway, "GET", "/v1/config", &[], b"").await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    let settings = answer["settings"].as_array().unwrap();
    let shown = |name: &str| {
        let setting = settings.iter().find(|setting| setting["name"] == name).unwrap();
        (setting["value"].as_str().unwrap(), setting["source"].as_str().unwrap(), setting["pushed"] == true)
    };
    let source = format!("ConfigMap {}", map.path().join("request-timeout").display());
    assert_eq!(shown("request-timeout"), ("1m 30s", source.as_str(), true));
    assert_eq!(shown("max-depth"), ("9", "command line", false));
    assert_eq!(shown("max-diagnostics"), ("1000", "default", false));
    let mut names: Vec<_> = settings.iter().map(|setting| setting["name"].as_str().unwrap()).collect();
    names.retain(|name| !name.starts_with("max-"));
    let expected = ["body-idle-timeout", "log", "min-body-rate", "request-timeout", "response-idle-timeout"];
    assert_eq!(names, expected, "no address, no password, no setting that needs a restart");
}
