//! Passwords from an operator: from standard input or a file, never from an argument, where every user of the host
//! would see them.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use restante_auth::password::{self, HashParams, Password, Rule, Scheme, ScramKeys};
use restante_auth::{Keyring, NewPassword};
use restante_config::Auth;
use restante_types::Secret;

/// Where the password comes from.
#[derive(Args, Debug)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input: one line
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE", conflicts_with = "password_stdin")]
    password_file: Option<PathBuf>,
    /// What is read is not the password but its hash, from another server: {SCHEME}... as `doveadm pw` writes it, or a
    /// bare $argon2id$, $6$, $5$ or $2y$ string. It is hashed anew at the first login
    #[arg(long)]
    password_is_hash: bool,
}

/// What an operator gave.
pub(crate) enum GivenPassword {
    /// The password.
    Plain(Secret<String>),
    /// Its hash, made elsewhere.
    Hash(NewPassword),
}

impl PasswordSource {
    /// Reads the password; `None` if none was offered.
    pub(crate) fn given(&self) -> anyhow::Result<Option<GivenPassword>> {
        let Some(octets) = self.read()? else {
            return Ok(None);
        };
        if self.password_is_hash {
            return Ok(Some(GivenPassword::Hash(imported(octets.expose())?)));
        }
        let text = str::from_utf8(octets.expose()).context("the password is not UTF-8")?;
        Ok(Some(GivenPassword::Plain(Secret::new(text.to_owned()))))
    }

    fn read(&self) -> anyhow::Result<Option<Secret<Vec<u8>>>> {
        if self.password_stdin {
            let line = first_line(std::io::stdin().lock());
            let line = line.context("cannot read the password from standard input")?;
            return stripped(&line).map(Some);
        }
        self.password_file.as_deref().map(first_line_of).transpose()
    }
}

/// The first line of a file with a secret.
pub(crate) fn first_line_of(file: &Path) -> anyhow::Result<Secret<Vec<u8>>> {
    let opened = std::fs::File::open(file).and_then(first_line);
    stripped(&opened.with_context(|| format!("cannot read the secret from {}", file.display()))?)
}

fn stripped(text: &Secret<Vec<u8>>) -> anyhow::Result<Secret<Vec<u8>>> {
    let text = text.expose();
    let line = text.strip_suffix(b"\n").unwrap_or(text);
    let octets = Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
    if octets.expose().is_empty() {
        bail!("the password is empty; write it on the first line");
    }
    Ok(octets)
}

/// Hashes a password as the configuration says.
pub(crate) fn hash_octets(octets: &[u8], rule: &Rule, scram: bool) -> anyhow::Result<NewPassword> {
    Ok(NewPassword::make(&Password::prepare(octets)?, rule, scram)?)
}

/// A hash from another server, as it is, if it is one that can be verified.
fn imported(octets: &[u8]) -> anyhow::Result<NewPassword> {
    let text = str::from_utf8(octets).context("the hash is not text")?;
    // SCRAM keys from elsewhere serve SCRAM here too.
    let scram = match password::inspect(text)? {
        Scheme::ScramSha256 => Some(ScramKeys::parse(text)?.to_text()),
        _ => None,
    };
    Ok(NewPassword {
        hash: Secret::new(text.to_owned()),
        scram,
    })
}

/// How passwords are hashed by the configuration.
pub(crate) fn rule(auth: &Auth) -> anyhow::Result<Rule> {
    let keyring = auth.keys_file.as_deref().map(Keyring::load).transpose()?;
    Ok(Rule {
        params: HashParams {
            memory_kib: auth.argon2_memory_kib,
            iterations: auth.argon2_iterations,
            parallelism: auth.argon2_parallelism,
        },
        keyring: keyring.map(Arc::new),
    })
}

/// One line with its end. Far more than the longest password, no more: a file named by mistake is not swallowed whole.
fn first_line(source: impl Read) -> std::io::Result<Secret<Vec<u8>>> {
    let mut octets = Vec::new();
    BufReader::new(source.take(4096)).read_until(b'\n', &mut octets)?;
    Ok(Secret::new(octets))
}
