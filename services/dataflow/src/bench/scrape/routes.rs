//! Every route that the gateway serves over HTTP, by the annotations of the contract, and the predecessor's.

use anyhow::Context;
use dataflow_mesh::outbound::Upstream;
use dataflow_proto::google::api::HttpRule;
use dataflow_proto::google::api::http_rule::Pattern;
use dataflow_transcode::Schema;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The predecessor's routes and the probes, which no annotation has.
const OTHERS: [(&str, &str); 9] = [
    ("POST", "/api/analysis/dataflow"),
    ("GET", "/api/analysis/rules"),
    ("POST", "/api/analysis/rules"),
    ("PUT", "/api/analysis/rules/x"),
    ("DELETE", "/api/analysis/rules/x"),
    ("GET", "/health"),
    ("GET", "/live"),
    ("GET", "/ready"),
    ("GET", "/nowhere"),
];

/// `google.protobuf.MethodOptions`, with the extension that makes routes.
#[derive(Clone, PartialEq, Message)]
struct MethodOptions {
    #[prost(message, optional, tag = "72295728")]
    http: Option<HttpRule>,
}

/// Verb and path of every route; each variable of a path is `x`.
pub(super) fn all(schema: &Schema) -> anyhow::Result<Vec<(String, String)>> {
    let mut routes: Vec<_> = OTHERS.map(|(verb, path)| (verb.to_owned(), path.to_owned())).into();
    for method in schema.services().iter().flat_map(|service| &service.methods) {
        let Some(rule) = MethodOptions::decode(method.options.clone())?.http else { continue };
        let further = rule.additional_bindings.clone();
        for rule in std::iter::once(rule).chain(further) {
            let (verb, template) = match rule.pattern.context("a rule has no path")? {
                Pattern::Get(path) => ("GET".to_owned(), path),
                Pattern::Put(path) => ("PUT".to_owned(), path),
                Pattern::Post(path) => ("POST".to_owned(), path),
                Pattern::Delete(path) => ("DELETE".to_owned(), path),
                Pattern::Patch(path) => ("PATCH".to_owned(), path),
                Pattern::Custom(custom) => (custom.kind, custom.path),
            };
            routes.push((verb, path_of(&template)));
        }
    }
    Ok(routes)
}

/// A path of the template.
fn path_of(template: &str) -> String {
    let mut path = String::new();
    for (at, part) in template.split('{').enumerate() {
        let (variable, rest) = part.split_once('}').filter(|_| at > 0).unwrap_or(("", part));
        match variable.split_once('=') {
            Some((_, pattern)) => path.push_str(&pattern.replace('*', "x")),
            None if at > 0 => path.push('x'),
            None => {}
        }
        path.push_str(rest);
    }
    path
}

/// Calls a route, and reads the status of its response: a stream may have no end.
pub(super) async fn call(gateway: &Upstream, verb: &str, target: &str) -> anyhow::Result<u16> {
    let address = gateway.to_string();
    let address = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await?;
    let body = if matches!(verb, "GET" | "DELETE") { "" } else { "{}" };
    let head = format!(
        "{verb} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    let mut status = [0; "HTTP/1.1 200".len()];
    stream.read_exact(&mut status).await.with_context(|| format!("{verb} {target} has no response"))?;
    Ok(std::str::from_utf8(&status[9..])?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_no_variables_left() {
        assert_eq!(path_of("/v1/rules/{ruleset}/items/{name}:undelete"), "/v1/rules/x/items/x:undelete");
        assert_eq!(path_of("/v1/{name=a/*}"), "/v1/a/x");
        assert_eq!(path_of("/v1/rules"), "/v1/rules");
        let schema = Schema::new(dataflow_proto::FILE_DESCRIPTOR_SET).unwrap();
        let routes = all(&schema).unwrap();
        assert!(routes.len() > 40, "{}", routes.len());
        assert!(routes.iter().all(|(_, path)| path.starts_with('/') && !path.contains(['{', '}', '*'])));
    }
}
