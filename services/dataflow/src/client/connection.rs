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

/// What is trusted, and what is presented: a certificate, and a token or an API key, or a file that has it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ConnectionArgs {
    /// File with PEM certificates to trust for an `https` endpoint, instead of the system's.
    #[arg(long, env = "DATAFLOW_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// File with the PEM certificate to present to an `https` endpoint, followed by those that lead to its root. Needs
    /// `--client-key`.
    #[arg(long, env = "DATAFLOW_CLIENT_CERT", value_name = "FILE")]
    client_cert: Option<PathBuf>,

    /// File with the PEM private key of that certificate.
    #[arg(long, env = "DATAFLOW_CLIENT_KEY", value_name = "FILE")]
    client_key: Option<PathBuf>,

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
            Endpoint::Plain(upstream) => match self.tls_flag() {
                Some(flag) => return Err(usage(format!("{flag}: {endpoint} is not https"))),
                None => Outbound::new(upstream, limit),
            },
            Endpoint::Secure(uri) => Outbound::secure(uri, self.tls()?, limit),
        };
        Ok(channel.presenting(self.credential()?))
    }

    /// The first flag that means something over TLS only.
    fn tls_flag(&self) -> Option<&'static str> {
        let flags = [
            ("--ca-file", &self.ca_file),
            ("--client-cert", &self.client_cert),
            ("--client-key", &self.client_key),
        ];
        flags.into_iter().find(|(_, file)| file.is_some()).map(|(flag, _)| flag)
    }

    fn tls(&self) -> Result<ClientTls, Failure> {
        let trusted = ClientTls::trusting(self.ca_file.as_deref());
        let trusted = trusted.map_err(|error| usage(format!("--ca-file: {error}")))?;
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(trusted),
            (Some(_), None) => Err(usage("--client-cert needs --client-key".to_owned())),
            (None, Some(_)) => Err(usage("--client-key needs --client-cert".to_owned())),
            (Some(certificate), Some(key)) => {
                ClientTls::presenting(self.ca_file.as_deref(), certificate, key)
                    .map_err(|error| usage(format!("--client-cert, --client-key: {error}")))
            }
        }
    }

    /// The value of `Authorization`; none if there is nothing to present.
    fn credential(&self) -> Result<Option<HeaderValue>, Failure> {
        let Self { token, token_file, api_key, api_key_file, .. } = self;
        let given = [
            ("--token", token.is_some()),
            ("--token-file", token_file.is_some()),
            ("--api-key", api_key.is_some()),
            ("--api-key-file", api_key_file.is_some()),
        ];
        let given: Vec<_> = given.iter().filter(|(_, is_given)| *is_given).map(|(flag, _)| *flag).collect();
        if given.len() > 1 {
            let given = given.join(" and ");
            return Err(usage(format!("{given}: only one credential can be presented")));
        }
        let Some(flag) = given.first() else { return Ok(None) };
        let secret = match token_file.as_ref().or(api_key_file.as_ref()) {
            Some(file) => Some(read(file).with_context(|| format!("{flag} {}", file.display()))?),
            None => token.clone().or_else(|| api_key.clone()),
        };
        let text = secret.as_ref().map_or("", |secret| secret.expose_secret().trim());
        let value = HeaderValue::try_from(format!("Bearer {text}")).ok().filter(|_| !text.is_empty());
        let mut value =
            value.ok_or_else(|| usage(format!("{flag}: it has no token or key, or several lines")))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn usage(why: String) -> Failure {
    Failure::new(Exit::Usage, anyhow::Error::msg(why))
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

    #[test]
    fn a_certificate_is_presented_with_its_key_and_over_tls() {
        let file = |name: &str| Some(PathBuf::from(name));
        let check = |args: ConnectionArgs, endpoint: &str, expected: &str| {
            let failure = args.channel(&endpoint.parse().unwrap(), Duration::MAX).err().unwrap();
            assert!(failure.error.to_string().contains(expected), "{failure:?}");
            assert_eq!(failure.exit, Exit::Usage);
        };
        let directory = tempfile::tempdir().unwrap();
        let ca = directory.path().join("ca.pem");
        let certified = rcgen::generate_simple_self_signed(["ada".to_owned()]).unwrap();
        std::fs::write(&ca, certified.cert.pem()).unwrap();
        let with = |cert: Option<PathBuf>, key: Option<PathBuf>| ConnectionArgs {
            ca_file: Some(ca.clone()),
            client_cert: cert,
            client_key: key,
            ..ConnectionArgs::default()
        };
        let (plain, secure) = ("http://127.0.0.1:1", "https://127.0.0.1:1");
        check(with(file("a"), None), secure, "--client-cert needs --client-key");
        check(with(None, file("a")), secure, "--client-key needs --client-cert");
        check(with(file("/absent"), file("/absent")), secure, "--client-cert, --client-key: /absent");
        check(with(Some(ca.clone()), Some(ca.clone())), secure, "private key");
        let without_ca = |cert, key| ConnectionArgs { ca_file: None, ..with(cert, key) };
        check(without_ca(file("a"), None), plain, "--client-cert: http://127.0.0.1:1/ is not https");
        check(without_ca(None, file("a")), plain, "--client-key: http://127.0.0.1:1/ is not https");
        let key = directory.path().join("key.pem");
        std::fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
        let channel = with(Some(ca.clone()), Some(key)).channel(&secure.parse().unwrap(), Duration::MAX);
        channel.map(|_| ()).unwrap();
    }
}
