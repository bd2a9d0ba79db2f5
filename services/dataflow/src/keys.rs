//! `dataflow keys`: the API keys of a running mesh.

use std::io::Write;
use std::time::Duration;

use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::rate::{MAX_PERMITS, Rate};
use dataflow_proto::config::v1 as pb;
use dataflow_proto::config::v1::key_service_client::KeyServiceClient;
use dataflow_proto::mesh::v1 as mesh_pb;
use dataflow_render::grid::Grid;
use dataflow_render::text::printable;
use dataflow_settings::duration;

use crate::client::{self, EndpointArgs, Format, FormatArgs, RecordArgs, time};
use crate::exit::{Exit, Failure};
use crate::terminal;

/// Keys per page.
const PAGE: i32 = 1000;

/// The subcommands of `dataflow keys`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// Create a key and print its secret, which cannot be shown again.
    Create(Box<CreateArgs>),
    /// List the keys, by identifier, without their secrets.
    List(Box<ListArgs>),
    /// Revoke a key, for good.
    Delete(Box<DeleteArgs>),
}

/// The flags of `dataflow keys create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Name of the key, for people: 1 to 100 characters.
    #[arg(long, value_name = "TEXT")]
    name: String,

    /// What a caller with the key may do.
    #[arg(long, value_name = "SCOPE")]
    scope: Scope,

    /// Tenant of the key. Default: that of the caller, if it has one.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// Time for which the key is valid, from 1 minute to 10 years. Default: until it is deleted.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    ttl: Option<Duration>,

    /// Calls that the key may make, as `100/s`, `600/m` or `1000/h`; they count against the limit of its tenant too.
    /// Default: the usual rate of the gateway.
    #[arg(long, value_name = "RATE")]
    rate_limit: Option<Rate>,

    /// Calls of that rate that may come at once after a pause, from 1 to 1,000,000. Default: the usual burst of the
    /// gateway.
    #[arg(long, value_name = "N", requires = "rate_limit",
          value_parser = clap::value_parser!(i32).range(1..=i64::from(MAX_PERMITS)))]
    rate_burst: Option<i32>,

    #[command(flatten)]
    record: RecordArgs,

    #[command(flatten)]
    mesh: EndpointArgs,

    /// Output format.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    format: CreatedFormat,
}

/// The scopes of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scope {
    /// Read, and compute from what a request contains
    Read,
    /// Also change what belongs to the tenant: its rules, providers and cache entries
    Write,
    /// Also what concerns other callers; without a tenant, the whole mesh
    Admin,
}

/// The output formats of a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum CreatedFormat {
    /// The secret alone, and a line about the key on standard error
    Text,
    /// One JSON document, as REST returns it
    Json,
}

/// The flags of `dataflow keys list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    mesh: EndpointArgs,

    #[command(flatten)]
    format: FormatArgs,
}

/// The flags of `dataflow keys delete`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    /// The key's identifier.
    #[arg(value_name = "ID")]
    key: String,

    #[command(flatten)]
    record: RecordArgs,

    #[command(flatten)]
    mesh: EndpointArgs,
}

// === impl Keys ===

impl Keys {
    /// Runs the command.
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self {
            Keys::Create(args) => create(*args).await,
            Keys::List(args) => list(*args).await,
            Keys::Delete(args) => delete(*args).await,
        }
    }
}

async fn create(args: CreateArgs) -> Result<Exit, Failure> {
    let CreateArgs { name, scope, tenant, ttl, rate_limit, rate_burst, record, mesh, format } = args;
    let ttl = ttl.map(prost_types::Duration::try_from).transpose();
    let ttl = ttl.map_err(|_| Failure::new(Exit::Usage, anyhow::anyhow!("--ttl: it is too long")))?;
    let request = pb::CreateKeyRequest {
        display_name: name,
        scope: mesh_pb::Scope::from(scope).into(),
        tenant: tenant.unwrap_or_default(),
        expire_time: None,
        ttl,
        reason: record.reason.unwrap_or_default(),
        rate_limit: rate_limit.map(|rate| rate.to_string()).unwrap_or_default(),
        rate_burst: rate_burst.unwrap_or_default(),
    };
    let reply = client(&mesh)?.create_key(request).await.map_err(|status| mesh.failure(&status))?;
    let created = reply.into_inner();
    match format {
        CreatedFormat::Text => {
            client::print(format!("{}\n", created.secret).as_bytes())?;
            let key = created.key.unwrap_or_default();
            // Without standard error, the secret is still complete.
            let _ = writeln!(terminal::stderr(), "{}", described(&key));
        }
        CreatedFormat::Json => {
            let format = FormatArgs { format: Format::Json };
            format.print("dataflow.config.v1.CreateKeyResponse", &created, |_, _| Ok(()))?;
        }
    }
    Ok(Exit::Success)
}

async fn list(args: ListArgs) -> Result<Exit, Failure> {
    let ListArgs { mesh, format } = args;
    let mut client = client(&mesh)?;
    let mut all = pb::ListKeysResponse::default();
    loop {
        let page_token = std::mem::take(&mut all.next_page_token);
        let request = pb::ListKeysRequest { page_size: PAGE, page_token };
        let page = client.list_keys(request).await.map_err(|status| mesh.failure(&status))?.into_inner();
        all.keys.extend(page.keys);
        all.next_page_token = page.next_page_token;
        if all.next_page_token.is_empty() {
            break;
        }
    }
    format.print("dataflow.config.v1.ListKeysResponse", &all, |options, out| {
        let mut grid =
            Grid::new(["KEY", "SCOPE", "TENANT", "RATE", "CREATED", "EXPIRES", "LAST USED", "NAME"]);
        for key in &all.keys {
            grid.push([
                key.key_id.clone(),
                scope(key),
                key.tenant.clone(),
                key.rate_limit.clone(),
                time(key.create_time),
                time(key.expire_time),
                time(key.last_use_time),
                key.display_name.clone(),
            ]);
        }
        grid.write(options, out)
    })?;
    Ok(Exit::Success)
}

async fn delete(args: DeleteArgs) -> Result<Exit, Failure> {
    let DeleteArgs { key, record, mesh } = args;
    let done = format!("{} is revoked\n", printable(&key));
    let (etag, reason) = (String::new(), record.reason.unwrap_or_default());
    let request = pb::DeleteKeyRequest { key, etag, reason };
    client(&mesh)?.delete_key(request).await.map_err(|status| mesh.failure(&status))?;
    client::print(done.as_bytes())?;
    Ok(Exit::Success)
}

/// A client of the key service.
fn client(mesh: &EndpointArgs) -> Result<KeyServiceClient<Outbound>, Failure> {
    Ok(KeyServiceClient::new(mesh.channel()?).max_decoding_message_size(usize::MAX))
}

/// A line about a new key.
fn described(key: &pb::ApiKey) -> String {
    let of_tenant = match key.tenant.as_str() {
        "" => String::new(),
        tenant => format!(", tenant {}", printable(tenant)),
    };
    let expires = match time(key.expire_time) {
        expires if expires.is_empty() => "does not expire".to_owned(),
        expires => format!("expires at {expires}"),
    };
    let (id, name, scope) = (printable(&key.key_id), printable(&key.display_name), scope(key));
    let rate = match key.rate_limit.as_str() {
        "" => String::new(),
        rate => format!(", at most {} calls", printable(rate)),
    };
    format!("{id} ({name}): scope {scope}{of_tenant}{rate}, {expires}; the secret cannot be shown again")
}

/// The scope of a key, as `--scope` takes it.
fn scope(key: &pb::ApiKey) -> String {
    key.scope().as_str_name().to_lowercase()
}

// === impl Scope ===

impl From<Scope> for mesh_pb::Scope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Admin => Self::Admin,
        }
    }
}
