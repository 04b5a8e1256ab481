//! `restante certificate`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use restante_auth::{CertificateId, NewCertificate, StoredCertificate, Tenant};
use restante_net::HeldPair;
use restante_types::Secret;
use serde::Serialize;

use crate::administration::{Administration, At, Near};
use crate::certificates;
use crate::output::{self, Failure, line, time};
use crate::password;

#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Keep a certificate for a tenant's server names; frontends show it within half a minute
    #[command(
        after_help = "Example:\n  restante certificate add acme --certificate fullchain.pem --key privkey.pem"
    )]
    Add(AddArgs),
    /// List certificates
    #[command(after_help = "Example:\n  restante certificate list --tenant acme --json")]
    List {
        /// Of this tenant only
        #[arg(long)]
        tenant: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Remove a certificate; an earlier one for the same names is shown again
    #[command(after_help = "Example:\n  restante certificate remove acme 3")]
    Remove {
        /// The tenant
        tenant: String,
        /// Its number, as `list` shows it
        id: i64,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// The tenant
    tenant: String,
    /// PEM file with the certificate, followed by its chain
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// PEM file with the private key; it is sealed before it is kept
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A server name of the tenant to show it for; if left out, all that stand in the certificate
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,
    #[command(flatten)]
    at: At,
}

#[derive(Serialize)]
struct View {
    id: i64,
    tenant_id: i64,
    names: Vec<String>,
    not_after: String,
}

impl From<StoredCertificate> for View {
    fn from(certificate: StoredCertificate) -> Self {
        Self {
            id: certificate.id.0,
            tenant_id: certificate.tenant.get(),
            names: certificate.server_names,
            not_after: time(certificate.not_after),
        }
    }
}

pub(crate) async fn run(command: CertificateCommand) -> Result<(), Failure> {
    match command {
        CertificateCommand::Add(args) => add(args).await?,
        CertificateCommand::List { tenant, json, at } => {
            let office = at.open().await?;
            let certificates = office.directory().certificates(tenant.as_deref()).await?;
            let views: Vec<View> = certificates.into_iter().map(View::from).collect();
            output::rows(json, &views, &["ID", "TENANT", "NAMES", "UNTIL"], |view| {
                vec![
                    view.id.to_string(),
                    view.tenant_id.to_string(),
                    view.names.join(" "),
                    view.not_after.clone(),
                ]
            })?;
        }
        CertificateCommand::Remove { tenant, id, at } => {
            let office = at.open().await?;
            office
                .directory()
                .remove_certificate(&tenant, CertificateId(id))
                .await?;
            line(format!("Certificate {id} of {tenant} removed."))?;
        }
    }
    Ok(())
}

async fn add(args: AddArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let (chain, key) = (read(&args.certificate)?, Secret::new(read(&args.key)?));
    let certificate = match &office {
        Administration::Near(near) => add_near(near, &args, chain, key).await?,
        Administration::Far(server) => {
            let chain = String::from_utf8(chain).context("the certificate is not PEM")?;
            let key = str::from_utf8(key.expose()).context("the key is not PEM")?;
            let key = Secret::new(key.to_owned());
            let added = server.add_certificate_pem(&args.tenant, chain, &key, args.name);
            added.await?
        }
    };
    line(format!(
        "Certificate {} added for {}.",
        certificate.id.0,
        certificate.server_names.join(", ")
    ))?;
    Ok(())
}

async fn add_near(
    near: &Near,
    args: &AddArgs,
    chain: Vec<u8>,
    key: Secret<Vec<u8>>,
) -> Result<StoredCertificate, Failure> {
    let directory = &near.backends.directory;
    let rule = password::rule(&near.config.auth)?;
    let keyring = rule.keyring().ok_or_else(|| {
        anyhow!("a private key is kept under seal only: make a file with keys and name it in auth.keys_file")
    })?;
    let tenant = directory.tenant(&args.tenant).await?;
    let tenant = tenant.ok_or_else(|| {
        anyhow!(
            "there is no tenant {}; `restante tenant list` shows them",
            args.tenant
        )
    })?;
    let pair = HeldPair {
        label: args.certificate.display().to_string(),
        names: Vec::new(),
        chain,
        key,
    };
    let facts = pair.inspect()?;
    let chain = String::from_utf8(pair.chain).context("the certificate is not PEM")?;
    let new = NewCertificate {
        server_names: names(&tenant, &facts.names, &args.name)?,
        chain,
        sealed_key: certificates::seal(keyring, tenant.id, pair.key.expose())?,
        not_after: facts.not_after,
    };
    Ok(directory.add_certificate(&args.tenant, new).await?)
}

/// The server names to show it for: those asked for, or the tenant's own that stand in the certificate.
fn names(tenant: &Tenant, certified: &[String], asked: &[String]) -> anyhow::Result<Vec<String>> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let covers = |name: &&String| certified.iter().any(|certified| covers(certified, name));
    let names: Vec<String> = tenant.server_names.iter().filter(covers).cloned().collect();
    if names.is_empty() {
        bail!(
            "the certificate is for {}, and none of these is a server name of {}: `restante tenant set {} --add-server-name NAME`",
            certified.join(", "),
            tenant.name,
            tenant.name
        );
    }
    Ok(names)
}

/// Whether a name in a certificate is that name, or its wildcard (RFC 6125 section 6.4.3).
fn covers(certified: &str, name: &str) -> bool {
    certified == name
        || certified
            .strip_prefix("*.")
            .is_some_and(|parent| name.split_once('.').is_some_and(|(_, rest)| rest == parent))
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}
