//! The table of subjects: what is valid, the position of what is not, and a file that changes.

use dataflow_mesh::reload::INTERVAL;
use serde_json::{Value, json};

use super::*;

fn parse(text: &str) -> Result<Table, String> {
    table_in(text.as_bytes()).map_err(|error| error.to_string())
}

fn entry(subject: &str, scope: &str, tenant: &Value) -> Value {
    match tenant {
        Value::Null => json!({"subject": subject, "scope": scope}),
        tenant => json!({"subject": subject, "scope": scope, "tenant": tenant}),
    }
}

#[test]
fn each_entry_grants_a_scope_and_perhaps_a_tenant() {
    let check = |entries: Vec<Value>, expected: &[(&str, Scope, &str)]| {
        let table = parse(&json!({"subjects": entries}).to_string()).unwrap();
        let granted = |(subject, scope, tenant): &(&str, Scope, &str)| {
            ((*subject).to_owned(), Granted { scope: *scope, tenant: (*tenant).to_owned() })
        };
        assert_eq!(table, expected.iter().map(granted).collect());
    };
    check(vec![], &[]);
    let longest = format!("cert:{}", "x".repeat(MAX_SUBJECT - 5));
    let tenant = "t".repeat(63);
    check(
        vec![
            entry("cert:ada", "read", &Value::Null),
            entry("peer:spiffe://cluster.local/ns/a/sa/b", "admin", &json!("acme")),
            entry("cert:Zoë, of acme", "write", &json!(tenant)),
            entry(&longest, "read", &Value::Null),
        ],
        &[
            ("cert:ada", Scope::Read, ""),
            ("peer:spiffe://cluster.local/ns/a/sa/b", Scope::Admin, "acme"),
            ("cert:Zoë, of acme", Scope::Write, &tenant),
            (&longest, Scope::Read, ""),
        ],
    );
}

#[test]
fn what_is_wrong_is_named_with_its_position() {
    let check = |text: &str, expected: &str| {
        let error = parse(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    };
    check("", "line 1 column 0");
    check("[]", "line 1 column");
    check("{}", "missing field `subjects`");
    check("{\"subjects\": [],\n \"more\": 1}", "unknown field `more`");
    check("{\"subjects\": [],\n \"more\": 1}", "line 2 column 7");
    check("{\"subjects\": [], \"subjects\": []}", "duplicate field `subjects`");
    check("{\"subjects\": []} {}", "trailing characters at line 1 column 18");
    check("{\"subjects\": [{\"subject\": \"cert:a\"}]}", "missing field `scope`");
    let field = |name: &str, value: &str| {
        let ada = r#"{"subject": "cert:ada", "scope": "read"}"#;
        let mut wrong = json!({"subject": "cert:b", "scope": "read"});
        wrong[name] = serde_json::from_str(value).unwrap();
        format!("{{\"subjects\": [{ada}, {wrong}]}}")
    };
    check(&field("subject", r#""cert:ada""#), "subjects[1].subject: \"cert:ada\" is there twice");
    for subject in ["", "ada", "key:admin", "Cert:ada", " cert:ada"] {
        check(&field("subject", &json!(subject).to_string()), "subjects[1].subject: must begin with");
    }
    check(&field("subject", r#""peer:""#), "subjects[1].subject: has no identity");
    check(&field("subject", r#""cert:a\u0000""#), "subjects[1].subject: has a control character");
    let long = format!("\"cert:{}\"", "x".repeat(MAX_SUBJECT - 4));
    check(&field("subject", &long), "subjects[1].subject: has more than 256 bytes");
    for scope in ["", "Read", "read write", "dataflow:read", "mesh_admin"] {
        check(
            &field("scope", &json!(scope).to_string()),
            "subjects[1].scope: must be one of: read, write, admin",
        );
    }
    for tenant in ["", "a/b", "-a", "é", &"t".repeat(64)] {
        check(&field("tenant", &json!(tenant).to_string()), "subjects[1].tenant: must be 1 to 63");
    }
    check(&field("tenant", "7"), "invalid type");
    check(&field("scopes", "\"read\""), "unknown field `scopes`");
}

#[test]
fn the_size_of_a_table_has_limits() {
    let of = |count: usize| {
        let entries: Vec<_> =
            (0..count).map(|each| entry(&format!("cert:{each}"), "read", &Value::Null)).collect();
        json!({"subjects": entries}).to_string()
    };
    assert_eq!(parse(&of(MAX_SUBJECTS)).unwrap().len(), MAX_SUBJECTS);
    assert!(parse(&of(MAX_SUBJECTS + 1)).unwrap_err().contains("has 10001, more than 10000"));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("subjects.json");
    let table = r#"{"subjects": []}"#;
    std::fs::write(&file, format!("{table}{}", " ".repeat(MAX_BYTES - table.len()))).unwrap();
    assert!(Subjects::read(&file).is_ok());
    std::fs::write(&file, format!("{table}{}", " ".repeat(MAX_BYTES - table.len() + 1))).unwrap();
    assert!(matches!(Subjects::read(&file), Err(SubjectsError::TooLong)));
    assert!(matches!(Subjects::read(directory.path()), Err(SubjectsError::TooLong)));
    assert!(matches!(Subjects::read(&directory.path().join("absent")), Err(SubjectsError::Io(_))));
}

#[tokio::test(start_paused = true)]
async fn a_changed_file_changes_the_table_and_a_broken_one_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("subjects.json");
    let write = |subjects: &[&str]| {
        let entries: Vec<_> = subjects.iter().map(|subject| entry(subject, "read", &Value::Null)).collect();
        std::fs::write(&file, json!({"subjects": entries}).to_string()).unwrap();
    };
    write(&["cert:ada"]);
    let subjects = Subjects::read(&file).unwrap();
    let following = tokio::spawn(subjects.clone().follow());
    let is_known = |subject: &str| subjects.caller(subject).is_ok();
    assert!(is_known("cert:ada") && !is_known("cert:bob"));
    std::fs::write(&file, "broken").unwrap();
    tokio::time::sleep(5 * INTERVAL).await;
    assert!(is_known("cert:ada"));
    assert_eq!(subjects.count.get(), 1);
    write(&["cert:bob", "cert:eve"]);
    while !is_known("cert:bob") {
        tokio::time::sleep(INTERVAL).await;
    }
    assert!(!is_known("cert:ada"));
    assert_eq!(subjects.count.get(), 2);
    let unknown = AuthError::SubjectUnknown { subject: "cert:ada".to_owned() };
    assert_eq!(subjects.caller("cert:ada"), Err(unknown));
    following.abort();
}
