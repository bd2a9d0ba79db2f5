//! Several documents in one request over REST, as the parts of `multipart/form-data`: those of curl, which is the client
//! that people use, and those that no client sends.

use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dataflow_mesh::outbound::Upstream;
use dataflow_tests::eventually::TIMEOUT;
use dataflow_tests::http::{self, Connection};
use dataflow_tests::services::{self, Service};
use dataflow_tests::{example, in_repository, tools};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::foreign::gateway_of;

const ANALYZE: &str = "/v1/catalogues:analyze";

/// The head of a request with parts.
const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=bound");

/// The status and the body of a request that curl sends with these flags; none if there is no curl.
async fn curl(gateway: &Upstream, target: &str, flags: &[&str]) -> Option<(u16, Value)> {
    if !tools::available("curl") {
        return None;
    }
    let url = format!("{}{}", gateway.to_string().trim_end_matches('/'), target);
    let mut command = tokio::process::Command::new("curl");
    // Without the settings of the user.
    command.args([
        "--disable",
        "--silent",
        "--show-error",
        "--noproxy",
        "*",
        "--write-out",
        "\n%{http_code}",
    ]);
    let output = command.args(flags).arg(url).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(TIMEOUT, output).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    assert!(output.status.success(), "{flags:?}: {text} {}", String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
    Some((status.parse().unwrap(), json))
}

/// A part with this name and data; with a media type, if that is not empty.
fn part(name: &str, media_type: &str, data: &str) -> String {
    let media_type = match media_type {
        "" => String::new(),
        media_type => format!("Content-Type: {media_type}\r\n"),
    };
    format!("--bound\r\nContent-Disposition: form-data; name=\"{name}\"\r\n{media_type}\r\n{data}\r\n")
}

fn body(parts: &[String]) -> Vec<u8> {
    format!("{}--bound--\r\n", parts.concat()).into_bytes()
}

async fn send(gateway: &Service, method: &str, target: &str, body: &[u8]) -> (u16, Value) {
    let answer = http::request(&gateway.upstream, method, target, &[FORM], body).await.unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    (answer.status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Status, reason, field and message of a failure.
fn failure((status, problem): &(u16, Value)) -> (u16, &str, &str, &str) {
    let text = |value: &'static str| problem.pointer(value).and_then(Value::as_str).unwrap_or_default();
    (*status, text("/details/0/reason"), text("/details/1/fieldViolations/0/field"), text("/message"))
}

#[tokio::test]
async fn curl_sends_a_catalogue_and_its_themes() {
    let (gateway, _services) = services::mesh(&[]).await;
    let themes = in_repository("examples/istat-themes.xml");
    let (catalogue, themes) = (format!("catalogue=@{}", example()), format!("themes=@{}", themes.display()));
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let flags = [version, "-F", &catalogue, "-F", &themes];
        let Some((status, analysis)) = curl(&gateway.upstream, ANALYZE, &flags).await else { return };
        assert_eq!(status, 200, "{version}: {analysis}");
        assert_eq!(
            (&analysis["total"], &analysis["coverage"]["THEME"]),
            (&json!(24), &json!(2)),
            "{version}"
        );
        let alone = curl(&gateway.upstream, ANALYZE, &[version, "-F", &catalogue]).await.unwrap();
        assert_eq!((alone.0, &alone.1["total"], &alone.1["coverage"]["THEME"]), (200, &json!(24), &json!(0)));
        // The same document as the body itself: one result, under one name.
        let data = format!("@{}", example());
        let plain = curl(&gateway.upstream, ANALYZE, &[version, "--data-binary", &data]).await.unwrap();
        assert_eq!((plain.0, &plain.1["analysis"]), (200, &alone.1["analysis"]));
        let misspelled = curl(&gateway.upstream, &format!("{ANALYZE}?rules=default"), &flags).await.unwrap();
        assert_eq!(failure(&misspelled).1, "PARAMETER_UNKNOWN");
        let broken = [version, "-F", &catalogue, "-F", "themes=no XML"];
        let (status, problem) = curl(&gateway.upstream, ANALYZE, &broken).await.unwrap();
        assert_eq!((status, &problem["details"][0]["metadata"]["document"]), (400, &json!("1")), "{problem}");
    }
}

#[tokio::test]
async fn curl_sends_parts_of_any_media_type_to_a_foreign_service() {
    let gateway = gateway_of("odd.proto", "odd.v1.Odd", &[]).await;
    let large = "x;y\r\n--\r\n".repeat(50_000);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &large).unwrap();
    let file = format!("table=@{};type=text/csv", file.path().display());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let flags =
            [version, "-H", "accept: application/x-ndjson", "-F", &file, "-F", "note=hello", "-F", "none="];
        let Some((status, lines)) = curl(&gateway.upstream, "/v1/gather/n?extra=e", &flags).await else {
            return;
        };
        assert_eq!(status, 200, "{lines}");
        let parts = [
            ("text/csv", large.as_str()),
            ("application/octet-stream", "hello"),
            ("application/octet-stream", ""),
        ];
        assert_eq!(
            gathered(&lines),
            parts.map(|(media_type, data)| (media_type.to_owned(), data.to_owned()))
        );
    }
}

/// The parts in the messages that an upstream has echoed. Only the first message has the fields of path and query.
fn gathered(lines: &Value) -> Vec<(String, String)> {
    let messages = lines.as_str().unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut parts = Vec::new();
    for (index, message) in messages.enumerate() {
        let expected = if index == 0 { ["n", "e"] } else { ["", ""] };
        assert_eq!([&message["name"], &message["extra"]], expected.map(|text| json!(text)).each_ref());
        let text = |name: &str| message["body"][name].as_str().unwrap();
        if !text("contentType").is_empty() {
            parts.push((text("contentType").to_owned(), String::new()));
        }
        let data = String::from_utf8(STANDARD.decode(text("data")).unwrap()).unwrap();
        parts.last_mut().unwrap().1.push_str(&data);
    }
    parts
}

#[tokio::test]
async fn parts_may_be_the_messages_themselves() {
    let gateway = gateway_of("odd.proto", "odd.v1.Odd", &[]).await;
    let parts = [part("a", "text/plain", "one,"), part("b", "", "two")];
    let answer = http::request(&gateway.upstream, "PUT", "/v1/pile", &[FORM], &body(&parts)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"one,two"[..]));
    assert_eq!(answer.headers["content-type"], "text/plain");
    // Any other type of parts is one document.
    let mixed = [("content-type", "multipart/mixed; boundary=bound")];
    let answer = http::request(&gateway.upstream, "PUT", "/v1/pile", &mixed, b"--bound--").await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"--bound--"[..]));
}

#[tokio::test]
async fn an_invalid_body_is_rejected_and_the_next_one_served() {
    let (gateway, _services) = services::mesh(&[]).await;
    let check = async |body: &[u8], expected: (u16, &str, &str), says: &str| {
        let found = send(&gateway, "POST", ANALYZE, body).await;
        let (status, reason, field, message) = failure(&found);
        assert_eq!((status, reason, field), expected, "{}: {}", body.escape_ascii(), found.1);
        assert!(message.contains(says), "{message}");
        let whole = body_of_one();
        assert_eq!(send(&gateway, "POST", ANALYZE, &whole).await.0, 200);
    };
    let xml = "<Structure><Dataflows><Dataflow id='A'/></Dataflows></Structure>";
    check(b"", (400, "MULTIPART_TRUNCATED", ""), "before its first part").await;
    check(b"--bound--", (400, "MULTIPART_MALFORMED", ""), "no parts").await;
    check(b"--bounds\r\n", (400, "MULTIPART_MALFORMED", ""), "other text").await;
    check(&[b'x'; 2000], (400, "MULTIPART_MALFORMED", ""), "no line").await;
    check(part("a", "", xml).as_bytes(), (400, "MULTIPART_TRUNCATED", ""), "within part 1").await;
    let head = |head: &str| format!("--bound\r\n{head}\r\n\r\n{xml}\r\n--bound--").into_bytes();
    let invalid = |field| (400, "PART_HEADER_INVALID", field);
    check(&head("X: y"), invalid("Content-Disposition"), "part 1: Content-Disposition: it is missing").await;
    check(&head("Content-Disposition: form-data"), invalid("Content-Disposition"), "no name").await;
    let named = "Content-Disposition: form-data; name=a\r\n";
    check(&head(&format!("{named}Content-Type: multipart/mixed")), invalid("Content-Type"), "within a part")
        .await;
    let coded = format!("{named}Content-Transfer-Encoding: base64");
    check(&head(&coded), invalid("Content-Transfer-Encoding"), "as they are").await;
    // What comes after many documents is checked too.
    let late = [part("a", "", &" ".repeat(200_000)), "--bound\r\nno header\r\n\r\n".to_owned()];
    check(&body(&late), invalid("headers"), "part 2").await;
    let epilogue = [body_of_one(), vec![b' '; 2000]].concat();
    check(&epilogue, (400, "MULTIPART_MALFORMED", ""), "after its last part").await;

    let boundary = async |content_type: &str, says: &str| {
        let headers = [("content-type", content_type)];
        let answer =
            http::request(&gateway.upstream, "POST", ANALYZE, &headers, &body_of_one()).await.unwrap();
        let found = (answer.status, serde_json::from_slice(&answer.body).unwrap());
        let (status, reason, field, message) = failure(&found);
        assert_eq!((status, reason, field), (400, "BOUNDARY_INVALID", "Content-Type"), "{}", found.1);
        assert!(message.contains(says), "{message}");
    };
    boundary("multipart/form-data", "no boundary").await;
    boundary(&format!("multipart/form-data; boundary={}", "x".repeat(71)), "more than 70 characters").await;
}

fn body_of_one() -> Vec<u8> {
    body(&[part("a", "application/xml", "<Structure><Dataflows><Dataflow id='A'/></Dataflows></Structure>")])
}

#[tokio::test]
async fn limits_hold_at_their_value_and_not_above() {
    let flags = ["--max-parts", "2", "--max-part-header-bytes", "60B"];
    let gateway = gateway_of("odd.proto", "odd.v1.Odd", &flags).await;
    let check = async |parts: &[String], expected: (u16, &str)| {
        let found = send(&gateway, "PUT", "/v1/pile", &body(parts)).await;
        let (status, reason, ..) = failure(&found);
        assert_eq!((status, reason), expected, "{}", found.1);
    };
    let one = part("a", "", "x");
    check(&[one.clone(), one.clone()], (200, "")).await;
    check(&[one.clone(), one.clone(), one.clone()], (413, "TOO_MANY_PARTS")).await;
    let padded =
        |bytes: usize| part(&"a".repeat(bytes - r#"Content-Disposition: form-data; name="""#.len()), "", "x");
    check(&[padded(60)], (200, "")).await;
    check(&[padded(61)], (413, "PART_HEADERS_TOO_LARGE")).await;
}

#[tokio::test]
async fn a_whole_body_may_be_compressed() {
    let gateway = gateway_of("odd.proto", "odd.v1.Odd", &[]).await;
    let data = "some text, ".repeat(1000);
    let plain = body(&[part("a", "text/plain", &data)]);
    let check = async |coding: &str, coded: &[u8], expected: Result<(), (u16, &str)>| {
        let headers = [FORM, ("content-encoding", coding)];
        let answer = http::request(&gateway.upstream, "PUT", "/v1/pile", &headers, coded).await.unwrap();
        match expected {
            Ok(()) => assert_eq!((answer.status, answer.body.as_slice()), (200, data.as_bytes())),
            Err(expected) => {
                let found = (answer.status, serde_json::from_slice(&answer.body).unwrap());
                let (status, reason, ..) = failure(&found);
                assert_eq!((status, reason), expected, "{coding}: {}", found.1);
            }
        }
    };
    let gzip = |text: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        std::io::Write::write_all(&mut encoder, text).unwrap();
        encoder.finish().unwrap()
    };
    let gzipped = gzip(&plain);
    check("gzip", &gzipped, Ok(())).await;
    check("gzip", &gzipped[..gzipped.len() - 9], Err((400, "BODY_UNDECODABLE"))).await;
    check("gzip", &plain, Err((400, "BODY_UNDECODABLE"))).await;
    check("zstd", &gzipped, Err((415, "UNSUPPORTED_MEDIA_TYPE"))).await;
    let dense = body(&[part("a", "", &" ".repeat(2 << 20))]);
    check("gzip", &gzip(&dense), Err((413, "BODY_TOO_DENSE"))).await;
}

#[tokio::test]
async fn other_routes_say_where_parts_go() {
    let (gateway, _services) = services::mesh(&[]).await;
    let check = async |gateway: &Service, target: &str, says: &str| {
        let found = send(gateway, "POST", target, &body_of_one()).await;
        let (status, reason, _, message) = failure(&found);
        assert_eq!((status, reason), (415, "UNSUPPORTED_MEDIA_TYPE"), "{}", found.1);
        assert!(message.ends_with(says), "{message}");
    };
    let routes = "Parts go to POST /v1/catalogues:analyze, POST /v1/providers/{provider}/snapshots";
    check(&gateway, "/v1/dataflows:categorize", routes).await;
    let odd = gateway_of("odd.proto", "odd.v1.Odd", &[]).await;
    check(&odd, "/v1/items", "Parts go to POST /v1/gather/{name}, PUT /v1/pile").await;
    let toy = gateway_of("toy.proto", "toy.v1.Toy", &[]).await;
    check(&toy, "/v1/things", "No route takes parts").await;
}

#[tokio::test]
async fn a_slow_client_is_cut_as_with_any_body() {
    let (gateway, _services) = services::mesh(&["--body-idle-timeout", "100ms"]).await;
    let mut connection = Connection::open(&gateway.upstream).await.unwrap();
    let head = http::head("POST", ANALYZE, &[FORM], Some(1000));
    connection.write(&[head.as_bytes(), b"--bound\r\nContent-Disposition: "].concat()).await.unwrap();
    let answer = connection.response().await.unwrap();
    let found = (answer.status, serde_json::from_slice(&answer.body).unwrap());
    let (status, reason, ..) = failure(&found);
    assert_eq!((status, reason), (499, "BODY_STALLED"));
    assert_eq!(send(&gateway, "POST", ANALYZE, &body_of_one()).await.0, 200);
}

#[tokio::test]
async fn the_digest_of_a_body_with_parts_is_not_that_of_a_document() {
    let (gateway, _services) = services::mesh(&[]).await;
    let digest = ("repr-digest", "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:");
    let answer =
        http::request(&gateway.upstream, "POST", ANALYZE, &[FORM, digest], &body_of_one()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}
