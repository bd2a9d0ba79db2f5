//! An earlier system with a few names, for tests: one that sets a flag, two that together set one flag, and one without
//! effect.

use super::*;

pub(super) struct Earlier;

impl FormerNames for Earlier {
    fn names(&self) -> Vec<&'static str> {
        vec!["LOG_LEVEL", "scaling.max_concurrent_requests", "redis.host", "redis.password", "namespace"]
    }

    fn translate(&self, settings: &mut Translation<'_>) {
        for (name, flag) in
            [("LOG_LEVEL", "log"), ("scaling.max_concurrent_requests", "max_concurrent_requests")]
        {
            if let Some(value) = settings.take(name) {
                settings.read(name, flag);
                settings.offer(flag, value);
            }
        }
        if let Some(host) = settings.take("redis.host") {
            settings.read("redis.host", "redis_url");
            settings.offer("redis_url", host.with_text(format!("redis://{}", host.text())));
        }
        if let Some(password) = settings.take("redis.password")
            && let Some(url) = settings.untyped("redis_url")
        {
            url.add_secret(url.text().replacen("://", &format!("://:{}@", password.text()), 1), password);
            settings.read("redis.password", "redis_url");
        }
        if settings.take("namespace").is_some() {
            settings.ignore("namespace", "the namespace comes from the manifest");
        }
    }
}

#[test]
fn the_higher_source_wins_and_within_one_the_current_name() {
    let log = |first: (&str, &str), second: (&str, &str)| {
        Pod::new().with(first.0, first.1, "first").with(second.0, second.1, "second").up().log
    };
    assert_eq!(log(("environment", "DATAFLOW_LOG"), ("environment", "LOG_LEVEL")), "first");
    assert_eq!(log(("file", "log"), ("environment", "LOG_LEVEL")), "second");
    assert_eq!(log(("config", "log"), ("environment", "LOG_LEVEL")), "first");
    assert_eq!(log(("flag", "log"), ("config", "LOG_LEVEL")), "first");
}
