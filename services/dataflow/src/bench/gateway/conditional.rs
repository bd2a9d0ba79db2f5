//! The cost of a GET of a resource that has not changed (`If-None-Match`, 304) at the gateway, and that of a GET whose
//! reply is an empty message, measured alternately.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::load::{Load, RestRequest};
use super::server::{Server, free_addresses};
use super::{Args, Cost, Round, role_command};

/// A rule of about a kilobyte, which every release has.
const RULE: &str = "/v1/rules/pop_rule?ruleset=legacy";

/// A list that is empty in a new mesh.
const EMPTY: &str = "/v1/keys";

/// Starts a config service and a gateway, and makes both calls in rounds, of which the first is not returned: it fills
/// caches and pools.
pub(super) async fn measure(args: &Args, directory: &Path) -> anyhow::Result<Vec<Round>> {
    let [config, address] = free_addresses()?;
    let service = Server::start("config", role_command("config", config)?, directory)?;
    let mut command = role_command("gateway", address)?;
    command.args(["--config-url", &format!("http://{config}")]).env("TOKIO_WORKER_THREADS", "1");
    let mut gateway = Server::start("gateway of config", command, directory)?;

    let rule = RestRequest::get(address, RULE, None)?;
    let rule = gateway.until_ok(|| Load::rest(address, rule.clone())).await?;
    let rule: Value = serde_json::from_slice(rule.reply())?;
    let etag = format!("\"{}\"", rule["etag"].as_str().context("a rule has an etag")?);
    let unchanged = RestRequest::get(address, RULE, Some(&etag))?;
    let mut unchanged = Load::rest(address, unchanged).await?;
    let mut empty = Load::rest(address, RestRequest::get(address, EMPTY, None)?).await?;

    let mut rounds = Vec::new();
    for _ in 0..=args.rounds {
        let theirs = Cost::of(&gateway, &mut empty, args.calls).await?;
        let ours = Cost::of(&gateway, &mut unchanged, args.calls).await?;
        rounds.push(Round { ours, theirs });
    }
    for server in [service, gateway] {
        server.stop().await?;
    }
    rounds.remove(0);
    Ok(rounds)
}
