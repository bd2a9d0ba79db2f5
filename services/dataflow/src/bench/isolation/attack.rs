//! What the attackers do, until they are stopped.

mod connection;
mod costly;
mod frequent;
mod idle;

use std::net::SocketAddr;

pub(in crate::bench) use connection::Connection;

const ANALYZE: &str = "/dataflow.analysis.v1.AnalysisService/AnalyzeCatalogue";
const CATEGORIZE: &str = "/dataflow.analysis.v1.AnalysisService/CategorizeDataflow";

/// One kind of attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Attack {
    /// Clients that do not read a large response
    SlowReaders,
    /// Uploads that arrive byte by byte
    SlowUploads,
    /// Uploads that have begun to be parsed, and then arrive byte by byte
    HeldUploads,
    /// Calls that are reset at once
    HangUps,
    /// Calls with large or many headers
    HeaderBombs,
    /// Health watches
    Watches,
    /// Bidirectional streams without a message
    SilentStreams,
    /// Small documents that become large when they are decompressed
    GzipBombs,
    /// JSON that becomes large when it is decoded
    JsonBombs,
    /// Many rules that match everywhere in many texts
    RuleBombs,
    /// Elements whose prefixes are looked up among many namespaces
    NamespaceBombs,
    /// Tokens that no key has signed, each another one
    InvalidTokens,
}

// === impl Attack ===

impl Attack {
    pub(super) const ALL: [Self; 12] = [
        Self::SlowReaders,
        Self::SlowUploads,
        Self::HeldUploads,
        Self::HangUps,
        Self::HeaderBombs,
        Self::Watches,
        Self::SilentStreams,
        Self::GzipBombs,
        Self::JsonBombs,
        Self::RuleBombs,
        Self::NamespaceBombs,
        Self::InvalidTokens,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::SlowReaders => "50 clients that do not read a large response",
            Self::SlowUploads => "50 uploads of a byte now and then",
            Self::HeldUploads => "50 uploads of 100 kB, then a byte now and then",
            Self::HangUps => "1,000 calls a second that are reset at once",
            Self::HeaderBombs => "200 calls a second with 60 KiB of headers",
            Self::Watches => "5,000 health watches",
            Self::SilentStreams => "1,000 silent bidirectional streams",
            Self::GzipBombs => "8 times 1.5 million dataflows in 73 kB of gzip",
            Self::JsonBombs => "8 times 2.3 million objects in 7 MB of JSON",
            Self::RuleBombs => "8 evaluations of 900 rules that match everywhere",
            Self::NamespaceBombs => "8 documents with 900 namespaces in scope",
            Self::InvalidTokens => "2,000 calls a second with other invalid tokens",
        }
    }

    /// Attacks until it is dropped, or the service cannot be reached.
    pub(super) async fn run(self, address: SocketAddr) -> anyhow::Result<()> {
        match self {
            Self::SlowReaders => idle::slow_readers(address).await,
            Self::SlowUploads => idle::slow_uploads(address).await,
            Self::HeldUploads => idle::held_uploads(address).await,
            Self::HangUps => frequent::hang_ups(address).await,
            Self::HeaderBombs => frequent::header_bombs(address).await,
            Self::Watches => idle::watches(address).await,
            Self::SilentStreams => idle::silent_streams(address).await,
            Self::GzipBombs => costly::gzip_bombs(address).await,
            Self::JsonBombs => costly::json_bombs(address).await,
            Self::RuleBombs => costly::rule_bombs(address).await,
            Self::NamespaceBombs => costly::namespace_bombs(address).await,
            Self::InvalidTokens => frequent::invalid_tokens(address).await,
        }
    }
}
