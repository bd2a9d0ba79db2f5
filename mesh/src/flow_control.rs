//! The flow-control windows of HTTP/2, the same on both sides of every connection.
//!
//! A connection carries the calls of many callers. One that does not read, or an upload that is not processed, fills
//! the window of its own stream; the window of the connection is larger than those of all its streams together, so that
//! the others never wait for it. Memory is bounded by the number of streams times the window of a stream.

/// The window of a stream, in bytes.
pub(crate) const STREAM_WINDOW: u32 = 64 * 1024;

/// The window of a connection: the largest that HTTP/2 allows (RFC 9113, 6.9.1).
pub(crate) const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// The most streams of a connection for which the windows suffice.
pub(crate) const MAX_STREAMS: u32 = CONNECTION_WINDOW / STREAM_WINDOW;

/// The most bytes of headers that a connection accepts. h2 cannot skip a longer header block: it closes the connection,
/// and with it the calls of others. Proxies pass at most 60 KiB by default, so that a caller behind one never reaches
/// it; `--max-header-bytes` is below it and rejects only the call.
pub(crate) const MAX_HEADER_LIST: u32 = 256 * 1024;
