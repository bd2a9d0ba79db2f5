//! What a call holds while its answer is on its way: its place among the calls served at once, its leash.
//!
//! It travels with the answer, so that whoever makes another answer of it, as REST does, can hold it on until that one
//! has left.

use std::any::Any;
use std::sync::Arc;

use axum::body::Body;
use http::Response;

use super::limit::LimitedBody;

/// See the module. Dropped, nothing is held any more.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    held: Vec<Arc<dyn Any + Send + Sync>>,
}

// === impl Hold ===

impl Hold {
    /// Takes what an answer holds out of it.
    pub fn take<B>(answer: &mut Response<B>) -> Self {
        answer.extensions_mut().remove().unwrap_or_default()
    }

    /// The answer, which holds this until its last piece is taken.
    pub fn on(self, answer: Response<Body>) -> Response<Body> {
        if http_body::Body::is_end_stream(answer.body()) {
            return answer;
        }
        answer.map(|inner| Body::new(LimitedBody::new(inner, self)))
    }

    /// Lets an answer hold one thing more.
    pub(crate) fn add<B>(answer: &mut Response<B>, thing: Arc<dyn Any + Send + Sync>) {
        answer.extensions_mut().get_or_insert_default::<Self>().held.push(thing);
    }
}
