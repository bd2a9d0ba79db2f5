//! REST, a skin over gRPC: transcoding as the annotations `google.api.http` say. [`request`] puts an HTTP request into
//! gRPC, [`reply`] makes an HTTP response of the answer, by [`elements`] where it is large and by [`stream`] where it is
//! one.

pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod stream;

mod elements;
