//! What a command presents to a mesh that authenticates its callers.

use std::path::{Path, PathBuf};

use anyhow::Context;
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::exit::{Exit, Failure};

/// The most bytes of a file with a token or a key.
const MAX_BYTES: u64 = 64 * 1024;

/// A token or an API key, or a file that has it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CredentialArgs {
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

// === impl CredentialArgs ===

impl CredentialArgs {
    /// The value of `Authorization`; none if there is nothing to present.
    pub(crate) fn header(&self) -> Result<Option<HeaderValue>, Failure> {
        let Self { token, token_file, api_key, api_key_file } = self;
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
        let check = |args: CredentialArgs, expected: Result<Option<&str>, &str>| {
            let found = args.header().map(|value| value.map(|value| value.to_str().unwrap().to_owned()));
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected),
                (Err(failure), Err(flag)) => assert!(failure.error.to_string().contains(flag), "{failure:?}"),
                (found, expected) => panic!("{found:?} {expected:?}"),
            }
        };
        let none = CredentialArgs::default;
        check(none(), Ok(None));
        check(CredentialArgs { token: secret("a.b.c"), ..none() }, Ok(Some("Bearer a.b.c")));
        check(CredentialArgs { api_key_file: path.clone(), ..none() }, Ok(Some("Bearer dfk_x")));
        check(CredentialArgs { token: secret(" "), ..none() }, Err("--token"));
        check(CredentialArgs { token: secret("a\nb"), ..none() }, Err("--token"));
        check(CredentialArgs { token_file: Some("/absent".into()), ..none() }, Err("--token-file /absent"));
        let both = CredentialArgs { token: secret("a"), api_key_file: path, ..none() };
        check(both, Err("--token and --api-key-file"));
    }
}
