//! Passwords from an operator: from standard input or a file, never from an argument, where every user of the host
//! would see them.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use restante_auth::password::{self, HashParams, Password};
use restante_config::Auth;
use restante_types::Secret;

/// Where the password comes from.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input: one line
    #[arg(long)]
    password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordSource {
    /// Reads and hashes the password; `None` if none was offered.
    pub(crate) fn hash(&self, params: HashParams) -> anyhow::Result<Option<Secret<String>>> {
        let Some(octets) = self.read()? else {
            return Ok(None);
        };
        hash_octets(octets.expose(), params).map(Some)
    }

    fn read(&self) -> anyhow::Result<Option<Secret<Vec<u8>>>> {
        let text = if self.password_stdin {
            first_line(std::io::stdin().lock()).context("cannot read the password from standard input")?
        } else if let Some(file) = &self.password_file {
            let opened = std::fs::File::open(file).and_then(first_line);
            opened.with_context(|| format!("cannot read the password from {}", file.display()))?
        } else {
            return Ok(None);
        };
        let text = text.expose();
        let line = text.strip_suffix(b"\n").unwrap_or(text);
        let octets = Secret::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        if octets.expose().is_empty() {
            bail!("the password is empty; write it on the first line");
        }
        Ok(Some(octets))
    }
}

/// Hashes a password as the configuration says.
pub(crate) fn hash_octets(octets: &[u8], params: HashParams) -> anyhow::Result<Secret<String>> {
    Ok(password::hash(&Password::prepare(octets)?, params)?)
}

/// What hashing costs by the configuration.
pub(crate) fn params(auth: &Auth) -> HashParams {
    HashParams {
        memory_kib: auth.argon2_memory_kib,
        iterations: auth.argon2_iterations,
        parallelism: auth.argon2_parallelism,
    }
}

/// One line with its end. Far more than the longest password, no more: a file named by mistake is not swallowed whole.
fn first_line(source: impl Read) -> std::io::Result<Secret<Vec<u8>>> {
    let mut octets = Vec::new();
    BufReader::new(source.take(4096)).read_until(b'\n', &mut octets)?;
    Ok(Secret::new(octets))
}
