//! Memory use for a catalogue and for a full cache, as the kernel counts it.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use dataflow_proto::cache::v1 as pb;
use dataflow_proto::cache::v1::cache_service_client::CacheServiceClient;
use dataflow_tests::binary::{self, Service};
use dataflow_tests::generator::Catalogue;
use futures_util::{StreamExt, TryStreamExt, stream};

const MIB: u64 = 1 << 20;

/// Peak memory of `dataflow analyze` on a catalogue, in bytes.
fn peak(catalogue: Catalogue) -> u64 {
    let arguments = ["analyze", "-", "--format", "ndjson"];
    let mut child = binary::command(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || std::io::copy(&mut catalogue.reader(), &mut stdin).unwrap());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The rest of the output is larger than the pipe's buffer, so the command is still running.
    let read = usize::try_from(catalogue.flows).unwrap() * 9 / 10;
    assert_eq!(lines.by_ref().take(read).map(Result::unwrap).count(), read);
    let peak = binary::peak_memory(child.id());
    assert_eq!(read + lines.map(Result::unwrap).count(), usize::try_from(catalogue.flows).unwrap());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    assert!(feeding.join().unwrap() >= catalogue.bytes * 99 / 100);
    peak
}

#[test]
fn memory_depends_on_the_result_and_not_on_the_document() {
    let large = peak(Catalogue::LARGE);
    let padded = peak(Catalogue { bytes: 60_000_000, ..Catalogue::LARGE });
    assert!(large < 256 * MIB, "{large} bytes for 8,000 dataflows in 26 MB");
    // The document grew by 34 MB.
    assert!(padded < large + 24 * MIB, "{large} bytes for 26 MB, {padded} for 60 MB of the same dataflows");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_entries_of_one_byte_use_little_memory() {
    let cache = Service::start("cache", &[]);
    let client = CacheServiceClient::connect(format!("http://{}", cache.address)).await.unwrap();
    let set = |index: u32| {
        let entry = pb::Entry { key: format!("user/{index}"), value: "x".into(), ..Default::default() };
        let mut client = client.clone();
        async move { client.set_entry(pb::SetEntryRequest { entry: Some(entry), ..Default::default() }).await }
    };
    // The first calls allocate memory that later calls reuse.
    let calls = |range: std::ops::Range<u32>| stream::iter(range.map(set)).buffer_unordered(16);
    calls(0..1_000).try_for_each(async |_| Ok(())).await.unwrap();
    let before = cache.memory();
    calls(1_000..11_000).try_for_each(async |_| Ok(())).await.unwrap();
    let grown = cache.memory().saturating_sub(before);
    assert!(grown < 10_000 * 2_000, "{grown} bytes for 10,000 entries");
}
