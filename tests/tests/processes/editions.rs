//! Messages of an edition and of proto2 against Python's protobuf package, whose compiler makes the descriptor sets:
//! the Rust ones know neither editions nor their features.

mod gateway;
mod random;

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use dataflow_tests::tools;
use dataflow_transcode::{IncrementalWriter, JsonWriter, Preset, Root, Schema, Style, json_to_wire};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A Python with the packages `protobuf` and `grpcio-tools`. `make tools` installs it.
const PYTHON: &str = "protobuf-python";

const LIMIT: usize = 1 << 20;

/// The folder of this test's files.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processes/editions")
}

/// The descriptor set of a file in a folder, as `set.bin` in one of its own; none without Python's package.
fn compile(folder: &Path, file: &str) -> Option<TempDir> {
    if !tools::available(PYTHON) {
        return None;
    }
    let set = tempfile::tempdir().unwrap();
    let mut protoc = Command::new(PYTHON);
    protoc.args(["-m", "grpc_tools.protoc", "--include_imports"]);
    protoc.arg(format!("--descriptor_set_out={}", set.path().join("set.bin").display()));
    for imports in [folder, &dataflow_tests::in_repository("proto")] {
        protoc.arg(format!("-I{}", imports.display()));
    }
    let output = protoc.arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(set)
}

/// A message type, as both sides know it.
struct Subject {
    schema: Arc<Schema>,
    name: &'static str,
    set: TempDir,
}

impl Subject {
    /// A message of a file in this test's folder; none without Python's package.
    fn new(file: &str, name: &'static str) -> Option<Self> {
        Self::compiled(&folder(), file, name)
    }

    /// A message of a file in a folder; none without Python's package.
    fn compiled(folder: &Path, file: &str, name: &'static str) -> Option<Self> {
        let set = compile(folder, file)?;
        let schema = Schema::new(&std::fs::read(set.path().join("set.bin")).unwrap()).unwrap();
        let schema = Arc::new(schema);
        Some(Self { schema, name, set })
    }

    /// What Python makes of each line.
    fn oracle(&self, lines: &[String]) -> Vec<String> {
        let mut python = Command::new(PYTHON);
        python.arg(folder().join("oracle.py")).arg(self.set.path().join("set.bin")).arg(self.name);
        let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, lines_in) = (child.stdin.take().unwrap(), lines.join("\n") + "\n");
        // Python answers while it reads.
        let feeding = std::thread::spawn(move || stdin.write_all(lines_in.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        assert!(output.status.success());
        let said: Vec<String> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(said.len(), lines.len());
        said
    }

    fn to_wire(&self, json: &str) -> Option<Vec<u8>> {
        let id = self.schema.message_named(self.name).unwrap();
        let (preset, mut out) = (Preset::new(&self.schema, id), Vec::new());
        json_to_wire(&preset, Root::Message, json.as_bytes(), LIMIT, &mut out).ok()?;
        Some(out)
    }

    fn to_json(&self, wire: &[u8]) -> Option<Value> {
        let mut writer = JsonWriter::new(&self.schema, Style::default(), LIMIT);
        writer.message(self.schema.message_named(self.name).unwrap(), wire).ok()?;
        Some(parsed(std::str::from_utf8(&writer.take()).unwrap()))
    }

    /// The JSON of a message that arrives byte by byte.
    fn in_pieces(&self, wire: &[u8]) -> Option<Value> {
        let (id, length) = (self.schema.message_named(self.name).unwrap(), Some(wire.len()));
        let schema = Arc::clone(&self.schema);
        let mut writer = IncrementalWriter::new(schema, id, None, length, Style::default(), LIMIT);
        wire.iter().try_for_each(|byte| writer.feed(&[*byte])).ok()?;
        writer.feed(b"").ok()?;
        writer.is_finished().then(|| parsed(std::str::from_utf8(&writer.take()).unwrap()))
    }

    /// Both sides make the same of a JSON text: the same message, in each other's eyes too.
    fn check(&self, texts: &[&str]) {
        let lines: Vec<String> = texts.iter().map(|json| format!("json {json}")).collect();
        let theirs = self.oracle(&lines);
        let ours: Vec<Option<Vec<u8>>> = texts.iter().map(|json| self.to_wire(json)).collect();
        let lines: Vec<String> = ours.iter().map(|wire| format!("wire {}", hex(wire.as_deref()))).collect();
        let read_by_them = self.oracle(&lines);
        for (((json, theirs), ours), read_by_them) in texts.iter().zip(theirs).zip(ours).zip(read_by_them) {
            let Some(ours) = ours else {
                assert_eq!(theirs, "error", "{json}: rejected by ours alone");
                continue;
            };
            assert_ne!(theirs, "error", "{json}: accepted by ours alone");
            let expected = parsed(&read_by_them);
            assert_eq!(self.to_json(&ours), Some(expected.clone()), "{json}: from our bytes");
            assert_eq!(self.to_json(&bytes(&theirs)), Some(expected), "{json}: from their bytes");
        }
    }

    /// Both sides write the same JSON of a message on the wire, ours also of one that arrives byte by byte.
    fn check_wire(&self, messages: &[&str]) {
        self.check_wire_in_any_order(messages);
        for message in messages.iter().map(|message| bytes(message)) {
            assert_eq!(self.in_pieces(&message), self.to_json(&message), "{message:?}, byte by byte");
        }
    }

    /// The same where ours may refuse one that arrives byte by byte, since its fields are in no order.
    fn check_wire_in_any_order(&self, messages: &[&str]) {
        let lines: Vec<String> = messages.iter().map(|message| format!("wire {message}")).collect();
        for (message, theirs) in messages.iter().zip(self.oracle(&lines)) {
            let ours = self.to_json(&bytes(message));
            let expected = (theirs != "error").then(|| parsed(&theirs));
            assert_eq!(ours, expected, "{message}");
            let in_pieces = self.in_pieces(&bytes(message));
            let is_same = ours.is_none() || in_pieces.is_none() || in_pieces == ours;
            assert!(is_same, "{message}, byte by byte: {in_pieces:?}");
        }
    }
}

/// JSON whose numbers are doubles: the two sides write 1 or 1.0.
fn parsed(json: &str) -> Value {
    fn doubles(value: Value) -> Value {
        match value {
            Value::Number(number) => json!(number.as_f64().unwrap()),
            Value::Array(values) => values.into_iter().map(doubles).collect(),
            Value::Object(members) => {
                members.into_iter().map(|(name, value)| (name, doubles(value))).collect()
            }
            other => other,
        }
    }
    doubles(serde_json::from_str(json).unwrap())
}

fn hex(bytes: Option<&[u8]>) -> String {
    bytes.unwrap_or_default().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn an_edition_is_transcoded_as_by_protobuf() {
    let Some(subject) = Subject::new("edition.proto", "editions.v1.Everything") else { return };
    subject.check(&[
        "{}",
        r#"{"explicit": 0, "implicit": 0, "text": ""}"#,
        r#"{"explicit": 7, "implicit": 7, "text": "t"}"#,
        r#"{"packed": [1, 300, -1], "expanded": [1, 300, -1]}"#,
        r#"{"delimited": {}, "prefixed": {}}"#,
        r#"{"delimited": {"label": "a", "inner": {"inner": {"label": ""}}}}"#,
        r#"{"delimitedList": [{}, {"label": "b"}], "byName": {"k": {"inner": {}}}}"#,
        r#"{"open": "OPEN_ONE", "closed": "CLOSED_TWO", "closedList": ["CLOSED_ONE", 2]}"#,
        r#"{"open": 77}"#,
        r#"{"closed": 77}"#,
        r#"{"levelByName": {"a": 1, "b": "LEVEL_UNSPECIFIED"}}"#,
        r#"{"right": {"label": "r"}}"#,
        r#"{"left": "l", "right": {}}"#,
        r#"{"[editions.v1.extended]": 5, "[editions.v1.extended_list]": [{"label": "x"}, {}]}"#,
        r#"{"[editions.v1.unknown]": 5}"#,
    ]);
    subject.check_wire(
        &[
            // Packed and not, whatever the declaration says.
            "0a00",
            "1801180222020102",
            // An unknown number of a closed enum, singular, in lists of both forms, in a map.
            "504d",
            "5801584d5802",
            "5a03014d02",
            "62050a0161104d",
            "62050a01611001",
            "484d",
            // A delimited message twice is merged; a list of them.
            "2b0a0161 2c 2b13 0a0162 14 2c",
            "330a0161 34 33 34",
            // Tags in more bytes than they need.
            "b3000a016134",
            "33b4000a",
            "330a0161b400",
            // A group that does not end.
            "2b0a0161",
        ]
        .map(|message| message.replace(' ', ""))
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
    );
}

#[test]
fn proto2_is_transcoded_as_by_protobuf() {
    let Some(subject) = Subject::new("old.proto", "editions.v1.Old") else { return };
    subject.check(&[
        "{}",
        r#"{"number": 0, "expanded": [1, 2], "packed": [1, 2]}"#,
        r#"{"part": {"label": "", "piece": [{"number": 1}, {}]}}"#,
        r#"{"colour": "RED", "colours": ["GREEN", 1]}"#,
        r#"{"colour": 3}"#,
        r#"{"colours": [3]}"#,
        r#"{"[editions.v1.note]": ""}"#,
    ]);
    subject.check_wire(&[
        "2803",
        "280328012803",
        "3001300330023203010302",
        "230a0161130801141308021424",
        "a2060161",
    ]);
}
