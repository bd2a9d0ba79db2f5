//! `dataflow verify`: whether a snapshot in the store is what its hash says, and whether a file is one of its documents.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use dataflow_proto::catalogue::v1 as pb;
use dataflow_uploads::document::{FingerprintReader, Received, Single};

use crate::client::{self, EndpointArgs};
use crate::exit::{Exit, Failure};
use crate::snapshot::{self, ProviderArgs};

/// The flags of `dataflow verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The snapshot, as `snapshot list` shows it, or `latest`.
    #[arg(value_name = "SNAPSHOT")]
    snapshot: String,

    /// A file that must be one of the documents in its receipts, by its bytes and its SHA-256.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,

    #[command(flatten)]
    provider: ProviderArgs,

    #[command(flatten)]
    mesh: EndpointArgs,
}

/// Runs the command. It fails unless all is as stated.
pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    let Args { snapshot, file, provider, mesh } = args;
    let received = file.as_deref().map(received).transpose()?;
    let request = pb::VerifySnapshotRequest { provider: provider.provider, snapshot };
    let reply = snapshot::client(&mesh)?.verify_snapshot(request).await;
    let reply = reply.map_err(|status| mesh.failure(&status))?.into_inner();
    let pb::VerifySnapshotResponse { snapshot, found_hash, intact } = reply;
    let snapshot = snapshot.context("the response contains no snapshot")?;
    let (id, hash) = (&snapshot.snapshot_id, &snapshot.structure_hash);
    if !intact {
        let found = if found_hash.is_empty() { "cannot be read" } else { &found_hash };
        return Err(anyhow::anyhow!("the content of {id} in the store is not {hash}: {found}").into());
    }
    client::print(format!("{id} is intact: {hash}\n").as_bytes())?;
    let Some((file, received)) = file.zip(received) else { return Ok(Exit::Success) };
    let line = compare(&snapshot, &file, received)?;
    client::print(line.as_bytes())?;
    Ok(Exit::Success)
}

/// Bytes and SHA-256 of a file.
fn received(path: &Path) -> anyhow::Result<Received> {
    let opened = std::fs::File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut reader = FingerprintReader::new(Single(opened));
    io::copy(&mut reader, &mut io::sink()).with_context(|| format!("cannot read {}", path.display()))?;
    let (documents, _) = reader.into_documents();
    documents.into_iter().next().context("a reader has one document")
}

/// Which document of which receipt a file is.
fn compare(snapshot: &pb::Snapshot, file: &Path, received: Received) -> anyhow::Result<String> {
    let digest: String = received.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let name = file.display();
    for receipt in &snapshot.receipts {
        for document in &receipt.documents {
            if document.sha256 == digest && u64::try_from(document.bytes) == Ok(received.bytes) {
                let (time, source) = (client::time(receipt.time), &document.source);
                let source = if source.is_empty() { String::new() } else { format!(" as {source}") };
                return Ok(format!("{name} was received at {time}{source}: sha256:{digest}\n"));
            }
        }
    }
    let id = &snapshot.snapshot_id;
    anyhow::bail!(
        "{name} is in no receipt of {id}: it has {} bytes, sha256:{digest}; `snapshot get {id}` lists them",
        received.bytes
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_its_bytes_and_its_digest() {
        let document = pb::ReceivedDocument {
            source: "a.xml".to_owned(),
            bytes: 3,
            sha256: format!("{}{}", "01".repeat(16), "ff".repeat(16)),
        };
        let receipt = pb::Receipt { documents: vec![document], ..Default::default() };
        let snapshot = pb::Snapshot { receipts: vec![receipt], ..Default::default() };
        let mut sha256 = [1; 32];
        sha256[16..].fill(0xff);
        let check = |received, expected: &str| {
            let found = compare(&snapshot, Path::new("f"), received);
            let found = found.unwrap_or_else(|error| error.to_string());
            assert!(found.contains(expected), "{found}");
        };
        check(Received { bytes: 3, sha256 }, "f was received at  as a.xml");
        check(Received { bytes: 4, sha256 }, "f is in no receipt");
        check(Received { bytes: 3, sha256: [1; 32] }, "f is in no receipt");
    }
}
