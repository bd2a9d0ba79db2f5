//! Random messages of random files of an edition, whose features vary by file, by enum and by field. A run takes other
//! ones than the last; a failure prints the seed, with which `EDITIONS_SEED` repeats it.

mod json;
mod wire;

use std::fmt::Write as _;

use fastrand::Rng;

use super::{Subject, hex};

/// Names the variable that holds the seed of a run to repeat.
const SEED: &str = "EDITIONS_SEED";

/// Files of each edition, and messages in either direction of the first type of each.
const FILES: usize = 2;
const MESSAGES: usize = 150;

/// How deeply messages are nested at most.
const DEPTH: usize = 4;

/// A file of an edition.
struct File {
    messages: Vec<Vec<Field>>,
    text: String,
}

struct Field {
    number: usize,
    kind: Kind,
    shape: Shape,
    /// Whether its messages are groups on the wire.
    is_delimited: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Singular,
    Repeated,
    /// A map with keys of this type.
    Map(&'static str),
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Scalar(&'static str),
    Enum(&'static str),
    /// By its index.
    Message(usize),
}

const SCALARS: [&str; 15] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64",
    "bool", "string", "bytes", "float", "double",
];

const KEYS: [&str; 6] = ["int32", "sint64", "uint64", "fixed32", "bool", "string"];

/// The names and numbers of both enums, one open and one closed. Values of maps need a first one with the number 0.
const VALUES: [(&str, i32); 4] = [("ZERO", 0), ("ONE", 1), ("BELOW", -1), ("LAST", i32::MAX)];

impl File {
    fn new(edition: &str, rng: &mut Rng) -> Self {
        let mut text = format!("edition = \"{edition}\";\npackage random.v1;\n");
        let [is_implicit, is_expanded, is_delimited, is_closed] = [(); 4].map(|()| rng.bool());
        let mut default = |name: &str, is_set: bool, value: &str| {
            if is_set {
                writeln!(text, "option features.{name} = {value};").unwrap();
            }
        };
        default("field_presence", is_implicit, "IMPLICIT");
        default("repeated_field_encoding", is_expanded, "EXPANDED");
        default("message_encoding", is_delimited, "DELIMITED");
        default("enum_type", is_closed, "CLOSED");
        for (name, kind) in [("Open", "OPEN"), ("Closed", "CLOSED")] {
            let values = VALUES.map(|(value, number)| format!("{}_{value} = {number};", name.to_uppercase()));
            writeln!(text, "enum {name} {{ option features.enum_type = {kind}; {} }}", values.join(" "))
                .unwrap();
        }
        let count = 2 + rng.usize(..3);
        let messages =
            (0..count).map(|index| message(index, count, [is_implicit, is_delimited], rng, &mut text));
        Self { messages: messages.collect(), text }
    }
}

/// A message type, whose text is appended.
fn message(index: usize, count: usize, defaults: [bool; 2], rng: &mut Rng, text: &mut String) -> Vec<Field> {
    writeln!(text, "message M{index} {{").unwrap();
    let (mut fields, mut choice) = (Vec::new(), String::new());
    for number in 1..=4 + rng.usize(..8) {
        let is_member = number > 1 && rng.u8(..5) == 0;
        let (field, declared) = field(number, count, is_member, defaults, rng);
        write!(if is_member { &mut choice } else { &mut *text }, "  {declared}").unwrap();
        fields.push(field);
    }
    if !choice.is_empty() {
        writeln!(text, "  oneof choice {{\n{choice}  }}").unwrap();
    }
    text.push_str("}\n");
    fields
}

/// A field, or a member of a oneof, and its declaration.
fn field(
    number: usize,
    count: usize,
    is_member: bool,
    [is_implicit, is_delimited]: [bool; 2],
    rng: &mut Rng,
) -> (Field, String) {
    let kind = match rng.u8(..8) {
        0 => Kind::Enum(["Open", "Closed"][rng.usize(..2)]),
        1..4 => Kind::Message(rng.usize(..count)),
        _ => Kind::Scalar(SCALARS[rng.usize(..SCALARS.len())]),
    };
    let shape = match rng.u8(..6) {
        _ if is_member => Shape::Singular,
        0 | 1 => Shape::Repeated,
        2 => Shape::Map(KEYS[rng.usize(..KEYS.len())]),
        _ => Shape::Singular,
    };
    // Only a singular field may be declared explicit, which a closed enum needs.
    let is_open_only = is_implicit && (is_member || shape != Shape::Singular);
    let kind = if is_open_only && kind == Kind::Enum("Closed") { Kind::Enum("Open") } else { kind };
    let is_message = matches!(kind, Kind::Message(_));
    let mut features = Vec::new();
    let mut chosen = |default: bool, [yes, no]: [&'static str; 2]| {
        let choice = if rng.bool() { rng.bool() } else { return default };
        features.push(if choice { yes } else { no });
        choice
    };
    if shape == Shape::Repeated && !is_message && !matches!(kind, Kind::Scalar("string" | "bytes")) {
        let encodings =
            ["features.repeated_field_encoding = EXPANDED", "features.repeated_field_encoding = PACKED"];
        chosen(false, encodings);
    }
    let encodings = ["features.message_encoding = DELIMITED", "features.message_encoding = LENGTH_PREFIXED"];
    // Entries of maps and their values are never groups.
    let is_map = matches!(shape, Shape::Map(_));
    let is_delimited = is_message && !is_map && chosen(is_delimited, encodings);
    if shape == Shape::Singular && !is_message && !is_member {
        let presences = ["features.field_presence = IMPLICIT", "features.field_presence = EXPLICIT"];
        if kind != Kind::Enum("Closed") {
            chosen(is_implicit, presences);
        } else if is_implicit {
            // The default of a closed enum is no value that is left out.
            features.push(presences[1]);
        }
    }
    let name = match kind {
        Kind::Scalar(name) | Kind::Enum(name) => name.to_owned(),
        Kind::Message(index) => format!("M{index}"),
    };
    let name = match shape {
        Shape::Singular => name,
        Shape::Repeated => format!("repeated {name}"),
        Shape::Map(key) => format!("map<{key}, {name}>"),
    };
    let options = if features.is_empty() { String::new() } else { format!(" [{}]", features.join(", ")) };
    (
        Field { number, kind, shape, is_delimited },
        format!("{name} field_{} = {number}{options};\n", letter(number)),
    )
}

/// What the name of a field ends with: an edition refuses names in which a digit follows an underscore.
fn letter(number: usize) -> char {
    char::from(b'`' + u8::try_from(number).unwrap())
}

fn text(rng: &mut Rng) -> String {
    const PIECES: [&str; 9] = ["a", "Z_9", "\"", "\\", "\n", "\u{1}", "é", "😀", "/"];
    (0..rng.usize(..4)).map(|_| PIECES[rng.usize(..PIECES.len())]).collect()
}

/// A number: most of them at a limit of some type.
fn number(rng: &mut Rng) -> i64 {
    match rng.u8(..6) {
        0 => 0,
        1 => 1,
        2 => -1,
        3 => [i32::MIN.into(), i32::MAX.into(), i64::MIN, i64::MAX, u32::MAX.into()][rng.usize(..5)],
        _ => rng.i64(..) >> rng.u32(..64),
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "the seed of a failure, which is not captured otherwise")]
fn random_messages_of_editions_are_transcoded_as_by_protobuf() {
    let seed = std::env::var(SEED).map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    eprintln!("{SEED}={seed}");
    let mut rng = Rng::with_seed(seed);
    for edition in ["2023", "2024"].repeat(FILES) {
        let file = File::new(edition, &mut rng);
        eprintln!("{}", file.text);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("random.proto"), &file.text).unwrap();
        let Some(subject) = Subject::compiled(folder.path(), "random.proto", "random.v1.M0") else { return };
        let texts: Vec<String> = (0..MESSAGES).map(|_| file.json(0, DEPTH, &mut rng)).collect();
        subject.check(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        let messages: Vec<String> =
            (0..MESSAGES).map(|_| hex(Some(&file.wire(0, DEPTH, &mut rng)))).collect();
        subject.check_wire_in_any_order(&messages.iter().map(String::as_str).collect::<Vec<_>>());
    }
}
