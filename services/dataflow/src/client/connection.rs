//! How a command connects to a mesh: what it trusts, and what it presents to a mesh that authenticates its callers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use dataflow_mesh::outbound::Outbound;
use dataflow_mesh::tls::ClientTls;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::Endpoint;
use crate::exit::{Exit, Failure};

/// The most bytes of a file with a token or a key.
const MAX_BYTES: u64 = 64 * 1024;

/// What is trusted, and a token or an API key, or a file that has it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConnectionArgs {
    /// File with PEM certificates to trust for an `https` endpoint, instead of the system's.
    #[arg(long, env = "DATAFLOW_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// Token (JWT) to present to the mesh. Other users of this machine can see it: prefer `--token-file`.
    #[arg(long, env = "DATAFLOW_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<SecretString>,

    /// File with the token to present.
    #[arg(long, env = "DATAFLOW_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// API key to present to the mesh. Other users of this machine can see it: prefer `--api-key-file`.
    #[arg(long, env = "DATAFLOW_API_KEY", hide_env_values = true, value_name = "KEY")]
    api_key: Option<SecretString>,

    /// File with the API key to present.
    #[arg(long, env = "DATAFLOW_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
}

// === impl ConnectionArgs ===

impl ConnectionArgs {
    /// A channel to a mesh, whose calls time out after `limit`.
    pub(crate) fn channel(&self, endpoint: &Endpoint, limit: Duration) -> Result<Outbound, Failure> {
        let channel = match endpoint {
            Endpoint::Plain(_) if self.ca_file.is_some() => {
                let why = anyhow::anyhow!("--ca-file: {endpoint} is not https");
                return Err(Failure::new(Exit::Usage, why));
            }
            Endpoint::Plain(upstream) => Outbound::new(upstream, limit),
            Endpoint::Secure(uri) => {
                let trusted = ClientTls::trusting(self.ca_file.as_deref());
                let trusted = trusted
                    .map_err(|error| Failure::new(Exit::Usage, anyhow::anyhow!("--ca-file: {error}")))?;
                Outbound::secure(uri, trusted, limit)
            }
        };
        Ok(channel.presenting(self.credential()?))
    }

    /// The value of `Authorization`; none if there is nothing to present.
    fn credential(&self) -> Result<Option<HeaderValue>, Failure> {
        let Self { ca_file: _, token, token_file, api_key, api_key_file } = self;
        let given = [
            ("--token", token.is_some()),
            ("--token-file", token_file.is_some()),
            ("--api-key", api_key.is_some()),
            ("--api-key-file", api_key_file.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| *flag).collect();
        if given.len() > 1 {
            let given = given.join(" and ");
            return Err(Failure::new(
                Exit::Usage,
                anyhow::anyhow!("{given}: only one credential can be presented"),
            ));
        }
        let Some(flag) = given.first() else { return Ok(None) };
        let secret = match token_file.as_ref().or(api_key_file.as_ref()) {
            Some(file) => Some(read(file).with_context(|| format!("{flag} {}", file.display()))?),
            None => token.clone().or_else(|| api_key.clone()),
        };
        let text = secret.as_ref().map_or("", |secret| secret.expose_secret().trim());
        let value = HeaderValue::try_from(format!("Bearer {text}")).ok().filter(|_| !text.is_empty());
        let mut value = value.ok_or_else(|| {
            Failure::new(Exit::Usage, anyhow::anyhow!("{flag}: it has no token or key, or several lines"))
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn read(file: &Path) -> anyhow::Result<SecretString> {
    anyhow::ensure!(std::fs::metadata(file)?.len() <= MAX_BYTES, "it has more than {MAX_BYTES} bytes");
    Ok(SecretString::from(std::fs::read_to_string(file)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_credential_is_presented() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "dfk_x\n").unwrap();
        let (secret, path) = (|text: &str| Some(SecretString::from(text)), Some(file.path().to_owned()));
        let check = |args: ConnectionArgs, expected: Result<Option<&str>, &str>| {
            let found = args.credential().map(|value| value.map(|value| value.to_str().unwrap().to_owned()));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected),
                (Err(failure), Err(flag)) => assert!(failure.error.to_string().contains(flag), "{failure:?}"),
                (found, expected) => panic!("{found:?} {expected:?}"),
            }
        };
        let none = ConnectionArgs::default;
        check(none(), Ok(None));
        check(ConnectionArgs { token: secret("a.b.c"), ..none() }, Ok(Some("Bearer a.b.c")));
        check(ConnectionArgs { api_key_file: path.clone(), ..none() }, Ok(Some("Bearer dfk_x")));
        check(ConnectionArgs { token: secret(" "), ..none() }, Err("--token"));
        check(ConnectionArgs { token: secret("a\nb"), ..none() }, Err("--token"));
        check(ConnectionArgs { token_file: Some("/absent".into()), ..none() }, Err("--token-file /absent"));
        let both = ConnectionArgs { token: secret("a"), api_key_file: path, ..none() };
        check(both, Err("--token and --api-key-file"));
    }
}
