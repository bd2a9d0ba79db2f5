//! The codec against prost-reflect's dynamic messages, in one thread and one run: JSON to the wire for a request of
//! 1 kB, and the wire to JSON for a reply of 1.4 kB. The two are timed in turns, so that what else the machine does
//! affects both; the ratio is the median of those of the rounds.

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use dataflow_transcode::{JsonWriter, Preset, Root, Schema, Style, json_to_wire};
use prost_reflect::prost::Message as _;
use prost_reflect::{
    DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions,
};

const ROUNDS: usize = 40;
const CALLS: usize = 2_000;
const LIMIT: usize = 1 << 20;

/// The bars: the highest ratio of the time of this codec to that of dynamic messages.
const JSON_TO_WIRE: f64 = 0.32;
const WIRE_TO_JSON: f64 = 0.33;

fn main() {
    // `cargo test --all-targets` runs benchmarks too: then it is enough that it works.
    let is_test = !std::env::args().any(|argument| argument == "--bench");
    let (rounds, calls) = if is_test { (1, 1) } else { (ROUNDS, CALLS) };
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let mut compiler = protox::Compiler::new([&here]).expect("the directory exists");
    compiler.include_imports(true).open_file(here.join("codec.proto")).expect("the file is valid");
    let set = compiler.encode_file_descriptor_set();
    let schema = Schema::new(&set).expect("the set is complete");
    let pool = DescriptorPool::decode(&set[..]).expect("the set is complete");
    let of = |name: &str| {
        let name = format!("transcode.codec.v1.{name}");
        let id = schema.message_named(&name).expect("it is there");
        (id, pool.get_message_by_name(&name).expect("it is there"))
    };

    let ((id, descriptor), json) = (of("Request"), request());
    let ours = || {
        let (preset, mut out) = (Preset::new(&schema, id), Vec::new());
        json_to_wire(&preset, Root::Message, json.as_bytes(), LIMIT, &mut out).expect("it is valid");
        out.len()
    };
    let dynamic = || read(&descriptor, json.as_bytes()).encode_to_vec().len();
    report("JSON to wire", JSON_TO_WIRE, json.len(), &ratios(rounds, calls, ours, dynamic));

    let ((id, descriptor), json) = (of("Reply"), reply());
    let wire = read(&descriptor, json.as_bytes()).encode_to_vec();
    let ours = || {
        let mut writer = JsonWriter::new(&schema, Style::default(), LIMIT);
        writer.message(id, &wire).expect("it is valid");
        writer.take().len()
    };
    let dynamic = || {
        let message = DynamicMessage::decode(descriptor.clone(), &wire[..]).expect("it is valid");
        let (mut out, options) = (Vec::new(), SerializeOptions::new().skip_default_fields(false));
        let written = message.serialize_with_options(&mut serde_json::Serializer::new(&mut out), &options);
        written.expect("it is valid");
        out.len()
    };
    assert_eq!(ours(), dynamic(), "both write the same");
    report("wire to JSON", WIRE_TO_JSON, ours(), &ratios(rounds, calls, ours, dynamic));
}

fn read(descriptor: &MessageDescriptor, json: &[u8]) -> DynamicMessage {
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let mut reader = serde_json::Deserializer::from_slice(json);
    DynamicMessage::deserialize_with_options(descriptor.clone(), &mut reader, &options).expect("it is valid")
}

/// For each round, the time of a call of each, the first divided by the second last.
fn ratios(
    rounds: usize,
    calls: usize,
    ours: impl Fn() -> usize,
    dynamic: impl Fn() -> usize,
) -> Vec<(Duration, Duration)> {
    let time = |call: &dyn Fn() -> usize| {
        let start = Instant::now();
        (0..calls).for_each(|_| _ = black_box(call()));
        start.elapsed() / u32::try_from(calls).expect("a few thousand")
    };
    (0..rounds).map(|_| (time(&ours), time(&dynamic))).collect()
}

#[expect(clippy::print_stdout, reason = "the report of a benchmark")]
fn report(what: &str, bar: f64, bytes: usize, rounds: &[(Duration, Duration)]) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let ours = median(rounds.iter().map(|(ours, _)| micros(*ours)).collect());
    let dynamic = median(rounds.iter().map(|(_, dynamic)| micros(*dynamic)).collect());
    let ratio = median(rounds.iter().map(|(ours, dynamic)| micros(*ours) / micros(*dynamic)).collect());
    let verdict = if ratio <= bar { "held" } else { "MISSED" };
    println!(
        "{what}, {bytes} bytes of JSON: {ours:.2} us, dynamic messages {dynamic:.2} us, ratio {ratio:.3}, \
         bar {bar:.2}: {verdict}"
    );
}

fn request() -> String {
    let sample = |index: usize| {
        let value = index as f64 * 1.25 + 0.5;
        format!(
            r#"{{"label":"observation {index}","value":{value},"count":"{}","flagged":{}}}"#,
            index * 1_000_003,
            index.is_multiple_of(2)
        )
    };
    let samples: Vec<String> = (0..8).map(sample).collect();
    format!(
        r#"{{"id":"DCIS_POPRES1","agencyId":"IT1","names":{{"en":"Resident population on 1st January","it":"Popolazione residente al 1° gennaio"}},"weights":[1,20,300,4000,50000,600000],"samples":[{}],"category":"POPULATION","size":"9007199254740993","observed":"2026-11-30T12:30:45.123Z","final":true}}"#,
        samples.join(",")
    )
}

fn reply() -> String {
    let result = |index: usize| {
        format!(
            r#"{{"id":"DATAFLOW_{index}","category":"HEALTH","confidence":0.{index}375,"points":"{}","keywords":["ospedale","hospital discharges"],"evidence":{{"label":"name in Italian","value":12.5,"count":"7","flagged":false}},"degraded":false}}"#,
            index * 1_000_003
        )
    };
    let results: Vec<String> = (1..6).map(result).collect();
    format!(
        r#"{{"results":[{}],"counts":{{"HEALTH":5,"OTHER":0,"POPULATION":12}},"revision":"42","created":"2026-11-30T12:30:45Z"}}"#,
        results.join(",")
    )
}
