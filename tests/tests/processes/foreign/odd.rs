//! Every route of a service that is odd on purpose, with what http.proto and the JSON of proto3 say of it.

use dataflow_tests::http;
use serde_json::{Value, json};

use super::{call, gateway_of};

/// The rows: a request, and its status with the members that differ from those of an empty message, or the reason and
/// the field of the error.
struct Table<'a> {
    gateway: &'a dataflow_tests::services::Service,
    empty: Value,
}

impl Table<'_> {
    async fn ok(&self, method: &str, target: &str, body: &str, expected: Value) {
        let (status, found) = call(&self.gateway.upstream, method, target, body).await;
        assert_eq!(status, 200, "{method} {target} {body}: {found}");
        let found = match found {
            Value::Object(members) => Value::Object(
                members.into_iter().filter(|(name, value)| self.empty.get(name) != Some(value)).collect(),
            ),
            other => other,
        };
        assert_eq!(found, expected, "{method} {target} {body}");
    }

    async fn rejected(&self, method: &str, target: &str, body: &str, reason: &str, field: &str) {
        let (status, problem) = call(&self.gateway.upstream, method, target, body).await;
        let found = &problem["details"];
        assert_eq!(
            (status, found[0]["reason"].as_str()),
            (400, Some(reason)),
            "{method} {target} {body}: {problem}"
        );
        let violation = found[1]["fieldViolations"][0]["field"].as_str().unwrap_or_default();
        assert_eq!(violation, field, "{method} {target} {body}: {problem}");
    }
}

async fn odd() -> dataflow_tests::services::Service {
    gateway_of("odd.proto", "odd.v1.Odd", &[]).await
}

async fn table(gateway: &dataflow_tests::services::Service) -> Table<'_> {
    let empty = call(&gateway.upstream, "POST", "/v1/items", "{}").await.1;
    assert!(empty.is_object(), "{empty}");
    Table { gateway, empty }
}

#[tokio::test]
async fn variables_of_every_type() {
    let gateway = odd().await;
    let table = table(&gateway).await;
    let get = async |target: &str, expected: Value| table.ok("GET", target, "", expected).await;
    get("/", json!({})).await;
    get("/v1/items/a", json!({"name": "items/a"})).await;
    get("/v1/n/caff%C3%A8", json!({"name": "caff\u{e8}"})).await;
    get("/v1/left/alice", json!({"left": "alice"})).await;
    get("/v1/innerleft/x", json!({"box": {"label": "x", "number": "0"}})).await;
    get("/v1/bytes/_-8", json!({"data": "/+8="})).await;
    get("/v1/enum/CRIMSON", json!({"colour": "RED"})).await;
    get("/v1/enum/2", json!({"colour": "GREEN"})).await;
    get("/v1/enum/7", json!({"colour": 7})).await;
    get("/v1/ts/2024-02-29T00:00:00Z", json!({"at": "2024-02-29T00:00:00Z"})).await;
    get("/v1/big/-9223372036854775808", json!({"big": "-9223372036854775808"})).await;
    get("/v1/flag/true", json!({"flag": true})).await;
    get("/v1/double/-Infinity", json!({"ratio": "-Infinity"})).await;
    get("/v1/wrap/0", json!({"maybe": 0})).await;
    get("/v1/q?small=1.5&tags=a&tags=&x-custom=c", json!({"small": 1.5, "tags": ["a", ""], "x-custom": "c"}))
        .await;
    get("/v1/verb/a/b:act", json!({"name": "a/b"})).await;
    get("/v1/verb/a/b%3Aact", json!({"name": "a/b%3Aact"})).await;
    get("/v1/verb/a:other", json!({"name": "a:other"})).await;
    get("/v1/two/a/x/b/y%2Fz", json!({"name": "a/x/b/y%2Fz"})).await;
    get("/v1/dash-ed/under_scored/tilde~/n", json!({"name": "n"})).await;
    for method in ["GET", "POST", "DELETE", "PURGE"] {
        table.ok(method, "/v1/any-method/n", "", json!({"name": "n"})).await;
    }
    let rejected = async |target: &str, reason: &str, field: &str| {
        table.rejected("GET", target, "", reason, field).await;
    };
    rejected("/v1/enum/BLUE", "PARAMETER_INVALID", "colour").await;
    rejected("/v1/ts/1970-01-01T00:00:60Z", "PARAMETER_INVALID", "at").await;
    rejected("/v1/ts/1970-01-01T00:00:00Z?at.seconds=5", "PARAMETER_UNKNOWN", "at.seconds").await;
    rejected("/v1/big/1e3x", "PARAMETER_INVALID", "big").await;
    rejected("/v1/double/1e400", "PARAMETER_INVALID", "ratio").await;
    rejected("/v1/q?small=1e39", "PARAMETER_INVALID", "small").await;
    rejected("/v1/q?small=nan", "PARAMETER_INVALID", "small").await;
    rejected("/v1/q?count=0&count=2", "PARAMETER_INVALID", "count").await;
    rejected("/v1/q?right=0&left=a", "PARAMETER_INVALID", "left").await;
    rejected("/v1/left/alice?right=4", "PARAMETER_INVALID", "right").await;
    rejected("/v1/innerleft/x?box.one=a&box.two=1", "PARAMETER_INVALID", "box.two").await;
    rejected("/v1/q?any.type_url=x", "PARAMETER_UNKNOWN", "any.type_url").await;
}

#[tokio::test]
async fn bodies_of_every_kind() {
    let gateway = odd().await;
    let table = table(&gateway).await;
    let ok = async |method: &str, target: &str, body: &str, expected: Value| {
        table.ok(method, target, body, expected).await;
    };
    ok("POST", "/v1/left/alice", "{}", json!({"left": "alice"})).await;
    ok("POST", "/v1/left/alice", r#"{"left": "bob", "count": 1}"#, json!({"left": "alice", "count": 1}))
        .await;
    ok("POST", "/v1/boxpath/x", r#"{"box": {"number": 7}}"#, json!({"box": {"label": "x", "number": "7"}}))
        .await;
    ok("PUT", "/v1/boxbody", "null", json!({})).await;
    ok("PUT", "/v1/struct", r#"{"b": [1, null], "a": {}}"#, json!({"a": {}, "b": [1.0, null]})).await;
    ok("PUT", "/v1/value", "null", Value::Null).await;
    ok("PUT", "/v1/value", r#""x""#, json!("x")).await;
    ok("PUT", "/v1/list", "[true, []]", json!([true, []])).await;
    ok("PUT", "/v1/map", r#"{"b": 2, "a": 1}"#, json!({"a": 1, "b": 2})).await;
    ok("PUT", "/v1/str", r#""a b""#, json!("a b")).await;
    ok("PUT", "/v1/inners", "[]", json!([])).await;
    ok("PUT", "/v1/ts", "null", Value::Null).await;
    ok("PUT", "/v1/ts", r#""1970-01-01T00:00:01Z""#, json!("1970-01-01T00:00:01Z")).await;
    ok("PUT", "/v1/maybe", "0", json!(0)).await;
    ok("PUT", "/v1/maybe", "null", Value::Null).await;
    ok("PUT", "/v1/opt", r#""""#, json!("")).await;
    ok("PUT", "/v1/opt", "null", Value::Null).await;
    ok("PUT", "/v1/leftbody", r#""l""#, json!("l")).await;
    ok("PUT", "/v1/enumbody", "-1", json!("NEGATIVE")).await;
    ok("PUT", "/v1/databody", r#""-_""#, json!("+w==")).await;
    ok("PUT", "/v1/any", "{}", json!({})).await;
    for target in ["any", "struct", "ts", "maybe", "opt", "leftbody"] {
        ok("PUT", &format!("/v1/{target}"), "null", Value::Null).await;
    }
    let every = json!({
        "un": u32::MAX, "bigs": ["1", "-1"], "maybeData": "AQI=", "optCount": 0, "ratios": [0.5, "NaN"], "maybeFlag": false,
        "values": {"a": null, "b": [1.0]}, "nothingAtAll": {}, "optColour": "COLOUR_UNSPECIFIED",
        "times": ["1970-01-01T00:00:00Z"], "maybeText": "", "maybeBig": "-5", "maybeRatio": "-Infinity",
        "blobs": {"7": "AA=="}, "maybes": [0, 1], "anys": [null, {}], "colourOf": {"c": "GREEN", "d": 9},
        "the \"quoted\" name": "q", "wrapped": "",
    });
    ok("POST", "/v1/items", &every.to_string(), every.clone()).await;
    ok("POST", "/v1/items", r#"{"nothing": null}"#, json!({"nothing": null})).await;
    let duration = json!({"@type": "x/google.protobuf.Duration", "value": "1.500s"});
    let (status, found) = call(&gateway.upstream, "PUT", "/v1/any", &duration.to_string()).await;
    assert_eq!((status, found), (200, duration));
    ok("POST", "/v1/empty", "{}", json!({})).await;
    ok("GET", "/v1/empty", "", json!({})).await;
    ok("DELETE", "/v1/empty", "", json!({})).await;
    ok("POST", "/v1/bare/struct", r#"{"a": "b"}"#, json!({"a": "b"})).await;
    ok("POST", "/v1/bare/value", "[1]", json!([1.0])).await;
    ok("POST", "/v1/bare/string", r#""s""#, json!("s")).await;
    ok("POST", "/v1/bare/ts", r#""2024-01-01T00:00:00Z""#, json!("2024-01-01T00:00:00Z")).await;
    let rejected = async |method: &str, target: &str, body: &str, field: &str| {
        table.rejected(method, target, body, "JSON_INVALID", field).await;
    };
    rejected("POST", "/v1/left/alice", r#"{"right": 4}"#, "right").await;
    rejected("POST", "/v1/boxpath/x", r#"{"left": "a"}"#, "left").await;
    rejected("PUT", "/v1/left/alice", r#"{"label": "x"}"#, "box").await;
    rejected("POST", "/v1/items", r#"{"count": 1, "count": 2}"#, "count").await;
    rejected("POST", "/v1/items", r#"{"byNumber": {"1": {}, "1": {}}}"#, "byNumber.1").await;
    rejected("POST", "/v1/items", r#"{"unbig": 18446744073709552000}"#, "unbig").await;
    rejected("POST", "/v1/items", r#"{"lasts": "1"}"#, "lasts").await;
    rejected("POST", "/v1/items", r#"{"any": {"@type": "x/no.such.Type"}}"#, "any.@type").await;
    rejected("POST", "/v1/empty", r#"{"a": 1}"#, "a").await;
    let deep = format!("{}{{}}{}", r#"{"inner":"#.repeat(105), "}".repeat(105));
    let (status, problem) = call(&gateway.upstream, "POST", "/v1/items", &deep).await;
    assert_eq!(status, 400, "{problem}");
}

#[tokio::test]
async fn masks_name_the_members_of_the_body() {
    let gateway = odd().await;
    let mask = async |body: &str, expected: &str| {
        let (status, found) = call(&gateway.upstream, "PATCH", "/v1/items/a", body).await;
        assert_eq!((status, &found["updateMask"]), (200, &json!(expected)), "{body}: {found}");
        assert_eq!(found["item"]["name"], "items/a");
    };
    mask(r#"{"title": "t"}"#, "title").await;
    mask(r#"{"inner": {"label": "x"}}"#, "inner.label").await;
    mask(
        r#"{"inner": {"inner": {"number": 0}, "label": ""}, "title": ""}"#,
        "inner.inner.number,inner.label,title",
    )
    .await;
    mask(r#"{"inner": {}}"#, "inner").await;
    mask(r#"{"inner": null, "displayName": null}"#, "inner,displayName").await;
    mask(r#"{"labels": {"a": "b"}, "tags": [], "struct": {"a": 1}}"#, "labels,tags,struct").await;
    mask(r#"{"at": null, "maybe": 1, "any": {}, "the-odd": "o"}"#, "at,maybe,any,odd").await;
    mask(r#"{"name": "other", "etag": "e", "title": "t"}"#, "title").await;
    let (status, found) =
        call(&gateway.upstream, "PATCH", "/v1/items/a?updateMask=tags", r#"{"title": "t"}"#).await;
    assert_eq!((status, &found["updateMask"]), (200, &json!("tags")));
    let (status, problem) = call(&gateway.upstream, "PATCH", "/v1/items/a", r#"{"name": "other"}"#).await;
    assert_eq!((status, &problem["details"][0]["reason"]), (400, &json!("NOTHING_TO_CHANGE")));
}

#[tokio::test]
async fn bodies_of_any_media_type_are_raw_at_every_place() {
    let gateway = odd().await;
    let check = async |method: &str, target: &str, media_type: Option<&str>, body: &[u8], expected: &[u8]| {
        let headers: Vec<(&str, &str)> =
            media_type.map(|value| ("content-type", value)).into_iter().collect();
        let answer = http::request(&gateway.upstream, method, target, &headers, body).await.unwrap();
        let said = answer.headers.get("content-type").map(|value| value.to_str().unwrap());
        assert_eq!((answer.status, said), (200, media_type), "{method} {target}");
        assert_eq!(answer.body, expected, "{method} {target}");
    };
    check("POST", "/v1/raw", Some("text/csv"), b"a;b\n", b"a;b\n").await;
    check("POST", "/v1/raw", None, b"\xff", b"\xff").await;
    check("GET", "/v1/raw", None, b"", b"").await;
    check("POST", "/v1/rawfield/n?extra=x", Some("image/png"), b"png", b"png").await;
    check("GET", "/v1/rawfield/n", None, b"", b"").await;
    check("PUT", "/v1/rawfield/n", Some("a/b"), b"", b"").await;
    check("POST", "/v1/rawtell", Some("text/plain"), b"part,", b"part,part,part,").await;
    check("PUT", "/v1/rawstream/n", Some("text/plain"), b"one", b"one").await;
    check("PUT", "/v1/rawstream/n", None, b"\0", b"\0").await;
}

#[tokio::test]
async fn methods_that_rest_cannot_express_have_no_route() {
    let gateway = odd().await;
    for target in ["/v1/collect", "/v1/chat", "/odd.v1.Odd/Pure"] {
        let (status, problem) = call(&gateway.upstream, "POST", target, "{}").await;
        assert_eq!((status, &problem["details"][0]["reason"]), (404, &json!("ROUTE_NOT_FOUND")), "{target}");
    }
}

#[tokio::test]
async fn answers_are_the_same_bytes_each_time() {
    let gateway = odd().await;
    let keys: Vec<String> = (0..50).map(|key| format!("\"k{key}\": {key}")).collect();
    let body =
        format!("{{\"counts\": {{{}}}, \"byFlag\": {{\"true\": \"t\", \"false\": \"f\"}}}}", keys.join(","));
    let json = [("content-type", "application/json")];
    let answer = async || {
        let answer =
            http::request(&gateway.upstream, "POST", "/v1/items", &json, body.as_bytes()).await.unwrap();
        String::from_utf8(answer.body).unwrap()
    };
    let first = answer().await;
    assert!(first.contains(r#""byFlag":{"false":"f","true":"t"}"#), "{first}");
    assert!(first.contains(r#""counts":{"k0":0,"k1":1,"k10":10,"#), "{first}");
    for _ in 0..5 {
        assert_eq!(answer().await, first);
    }
}

#[tokio::test]
async fn large_answers_escape_names_and_hold_maps_within_a_limit() {
    let gateway = odd().await;
    let json = [("content-type", "application/json")];
    let post = async |body: Value| {
        http::request(&gateway.upstream, "POST", "/v1/items", &json, body.to_string().as_bytes()).await
    };
    // Above 256 KiB an answer is written as it arrives.
    let mut large = json!({"tags": vec!["x".repeat(1000); 300], "small": 0.1, "the \"quoted\" name": "q"});
    let found: Value = serde_json::from_slice(&post(large.clone()).await.unwrap().body).unwrap();
    assert_eq!((&found["the \"quoted\" name"], &found["small"]), (&json!("q"), &json!(0.1)));
    large["tags"] = json!([]);
    let small: Value = serde_json::from_slice(&post(large).await.unwrap().body).unwrap();
    let differing = |name: &&String| found[name.as_str()] != small[name.as_str()];
    assert_eq!(small.as_object().unwrap().keys().filter(differing).collect::<Vec<_>>(), ["tags"]);

    let map = |entries: usize| -> Value {
        let entry = |key: usize| (format!("{key:0>10000}"), json!(1));
        json!({"counts": (0..entries).map(entry).collect::<serde_json::Map<_, _>>()})
    };
    let held: Value = serde_json::from_slice(&post(map(300)).await.unwrap().body).unwrap();
    assert_eq!(held["counts"].as_object().unwrap().len(), 300);
    post(map(900)).await.map(|answer| answer.status).unwrap_err();
}

#[tokio::test]
async fn resources_of_any_service_have_conditions() {
    let gateway = odd().await;
    let check = async |headers: &[(&str, &str)], status: u16, etag: Option<&str>| {
        let target = "/v1/etags/a?etag=v1";
        let answer = http::request(&gateway.upstream, "GET", target, headers, b"").await.unwrap();
        let found = answer.headers.get("etag").map(|etag| etag.to_str().unwrap());
        assert_eq!((answer.status, found), (status, etag), "{headers:?}");
        assert_eq!(answer.body.is_empty(), status == 304, "{headers:?}");
    };
    let v1 = Some("\"v1\"");
    check(&[], 200, v1).await;
    check(&[("if-none-match", "\"v1\"")], 304, v1).await;
    check(&[("if-none-match", "\"v0\", W/\"v1\"")], 304, v1).await;
    check(&[("if-none-match", "*")], 304, v1).await;
    check(&[("if-none-match", "\"v0\"")], 200, v1).await;
    check(&[("if-match", "\"v0\", \"v1\"")], 200, v1).await;
    check(&[("if-match", "*")], 200, v1).await;
    check(&[("if-match", "\"v0\"")], 412, None).await;
    check(&[("if-match", "W/\"v1\"")], 412, None).await;

    let change = async |headers: &[(&str, &str)], body: &str| {
        let headers = [&[("content-type", "application/json")], headers].concat();
        let answer = http::request(&gateway.upstream, "PATCH", "/v1/etags/a", &headers, body.as_bytes())
            .await
            .unwrap();
        let json: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, json)
    };
    let title = r#"{"title": "t"}"#;
    let (status, changed) = change(&[("if-match", "\"v1\"")], title).await;
    assert_eq!((status, &changed["item"]["etag"]), (200, &json!("v1")), "the service compares it");
    let (status, changed) = change(&[("if-match", "*")], title).await;
    assert_eq!((status, &changed["item"]["etag"]), (200, &json!("")), "a PATCH is of what exists");
    let (status, problem) = change(&[("if-match", "\"v1\"")], r#"{"etag": "v2"}"#).await;
    assert_eq!((status, &problem["details"][0]["reason"]), (400, &json!("PRECONDITION_INVALID")));
    // What the GET of the path returns has no etag.
    let (status, problem) = change(&[("if-match", "\"v1\", \"v2\"")], title).await;
    assert_eq!((status, &problem["details"][0]["reason"]), (412, &json!("ETAG_MISMATCH")));
    let (status, changed) = change(&[("if-none-match", "\"v1\"")], title).await;
    assert_eq!((status, &changed["item"]["title"]), (200, &json!("t")));
}

#[tokio::test]
async fn a_service_may_have_several_addresses() {
    let file = super::descriptors("odd.proto");
    let (closed, odd) = (dataflow_tests::services::closed_port(), super::echo().await);
    let upstream = format!("odd.v1.Odd={},{odd}", closed.upstream.to_string().trim_end_matches('/'));
    let flags = ["--descriptors", file.path().to_str().unwrap(), "--upstream", &upstream];
    let gateway = dataflow_tests::services::gateway(&flags).await;
    for _ in 0..4 {
        assert_eq!(call(&gateway.upstream, "GET", "/v1/n/a", "").await.0, 200);
    }
}
