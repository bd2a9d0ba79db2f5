//! The format of scenario files. Unknown keys are errors.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use dataflow_tests::http;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::Value;

/// One request and its expected response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The tested fact, as a sentence.
    pub(crate) name: String,
    pub(crate) request: Request,
    pub(crate) response: Response,
}

/// The request, sent unchanged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    #[serde(default = "Request::get")]
    pub(crate) method: String,
    pub(crate) target: String,
    /// A repeated rest of a long target.
    further: Option<Repeat>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    // The body, at most one of these. `content-length` is added, unless `headers` have a `transfer-encoding`.
    body: Option<String>,
    /// Sent as `application/json` unless `headers` have a content type.
    json: Option<Value>,
    /// A file of `examples/`.
    file: Option<String>,
    repeat: Option<Repeat>,
    /// Whether the body is compressed.
    #[serde(default)]
    gzip: bool,
}

/// A text that is repeated between two others.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    #[serde(default)]
    before: String,
    text: String,
    times: usize,
    #[serde(default)]
    after: String,
}

/// The expectations of the response.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Headers that it must have.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The whole body.
    pub(crate) body: Option<String>,
    /// Fields that its JSON must have; lists are compared element by element.
    pub(crate) json: Option<Value>,
    /// Fields that its JSON must not have, as paths of keys and indices separated by slashes.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// The `reason` of its `ErrorInfo`.
    pub(crate) reason: Option<String>,
    /// Entries of the `metadata` of its `ErrorInfo`; an empty text matches any value.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// A field that its `BadRequest` names.
    pub(crate) field: Option<String>,
    /// The format of a failure.
    #[serde(default)]
    pub(crate) shape: Shape,
}

/// The formats of failures.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// Ours: the JSON of a `google.rpc.Status`.
    #[default]
    Status,
    /// The predecessor's.
    Predecessor,
    /// That of the HTTP library below the gateway: a status line without a body.
    Bare,
}

// === impl Request ===

impl Request {
    fn get() -> String {
        "GET".to_owned()
    }

    /// The bytes to send.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let further = self.further.as_ref().map(Repeat::text).unwrap_or_default();
        let target = format!("{}{further}", self.target);
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let names_type = self.headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
        let json = (self.json.is_some() && !names_type).then_some(("content-type", "application/json"));
        let headers: Vec<_> = own.chain(json).collect();
        let body = self.content();
        let is_chunked = self.headers.contains_key("transfer-encoding");
        let length = body.as_ref().map(Vec::len).filter(|_| !is_chunked);
        let head = http::head(&self.method, &target, &headers, length);
        [head.into_bytes(), body.unwrap_or_default()].concat()
    }

    fn content(&self) -> Option<Vec<u8>> {
        let plain = [
            self.body.as_ref().map(|body| body.clone().into_bytes()),
            self.json.as_ref().map(|json| serde_json::to_vec(json).unwrap()),
            self.file.as_ref().map(|file| example(file)),
            self.repeat.as_ref().map(|repeat| repeat.text().into_bytes()),
        ];
        let mut plain = plain.into_iter().flatten();
        let body = plain.next();
        assert!(plain.next().is_none(), "{}: a request has at most one body", self.target);
        body.map(|body| if self.gzip { compressed(&body) } else { body })
    }
}

fn compressed(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn example(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

// === impl Repeat ===

impl Repeat {
    fn text(&self) -> String {
        format!("{}{}{}", self.before, self.text.repeat(self.times), self.after)
    }
}

#[test]
fn an_unknown_key_is_an_error() {
    let check = |yaml: &str, expected: bool| {
        assert_eq!(serde_saphyr::from_str::<Vec<Scenario>>(yaml).is_ok(), expected, "{yaml}");
    };
    check("[{name: a, request: {target: /}, response: {status: 200, shape: bare}}]", true);
    check("[{name: a, request: {target: /}, response: {status: 200, shape: round}}]", false);
    check("[{name: a, request: {target: /}, response: {status: 200, reson: A}}]", false);
    check("[{name: a, request: {target: /, path: /}, response: {status: 200}}]", false);
    check("[{name: a, request: {target: /}, response: {}}]", false);
    check("[{name: a, skip: true, request: {target: /}, response: {status: 200}}]", false);
}
