//! Routing of REST requests to methods: path templates of `google.api.http` and the table that finds them. Separate
//! from the dialects, because it knows neither HTTP types nor descriptors, only text.

mod error;
mod escapes;
mod table;
mod template;

pub use error::RouteError;
pub use table::{Conflict, Found, Table};
pub use template::{Template, TemplateError, Variable};
