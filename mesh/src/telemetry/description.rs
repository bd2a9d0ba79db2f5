//! What the span of a call says, whether it is made at the start of the call or at its end.

use std::sync::Arc;

use opentelemetry::KeyValue;
use tonic::Code;

use crate::descriptors::Method;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

/// What a span says at its end.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) attributes: Vec<KeyValue>,
    /// Whether the service failed.
    pub(crate) failure: bool,
}

/// The attributes of a call of this method.
pub(crate) fn of_method(method: &Method, code: Code) -> [KeyValue; 4] {
    [
        KeyValue::new("rpc.system", "grpc"),
        KeyValue::new("rpc.service", Arc::clone(&method.service)),
        KeyValue::new("rpc.method", Arc::clone(&method.name)),
        KeyValue::new("rpc.grpc.status_code", i64::from(i32::from(code))),
    ]
}

// === impl Attribute ===

impl Attribute {
    pub(super) fn named(self, key: &'static str) -> KeyValue {
        match self {
            Self::Text(text) => KeyValue::new(key, text),
            Self::Number(number) => KeyValue::new(key, number),
        }
    }
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u16> for Attribute {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}
