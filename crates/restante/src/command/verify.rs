//! `restante verify`.

use anyhow::anyhow;
use clap::Args;
use restante_auth::LoginName;
use restante_store::{AuditEvent, AuditSettings, Auditor, BlobKey, BlobStores, Finding, StoredMessage};
use restante_types::{Clock, SystemClock};
use serde::Serialize;

use crate::backends::Backends;
use crate::cli::ConfigArg;
use crate::output::{Failure, line};
use crate::progress::Progress;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// The messages of this account only: user@domain
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Look whether bodies are there and long enough, without reading them
    #[arg(long)]
    quick: bool,
    /// Print a JSON object for each finding, and one with the totals at the end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Serialize)]
struct View {
    finding: &'static str,
    storage: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blob: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct Totals {
    messages: u64,
    octets: u64,
    blobs: usize,
    findings: usize,
}

impl View {
    fn new(stores: &BlobStores, finding: &Finding) -> Self {
        match finding {
            Finding::Missing(message) => Self::of_message(stores, "missing", message, None),
            Finding::Damaged(message) => Self::of_message(stores, "damaged", message, None),
            Finding::Unread(message, error) => {
                Self::of_message(stores, "unread", message, Some(error.to_string()))
            }
            Finding::Orphan(storage, blob) => Self {
                tenant_id: Some(blob.tenant.get()),
                blob: Some(blob.path()),
                ..Self::of_storage("orphan", storage_name(stores, *storage))
            },
            Finding::Unlisted(storage, error) => Self {
                why: Some(error.to_string()),
                ..Self::of_storage("unlisted", storage_name(stores, *storage))
            },
        }
    }

    fn of_message(
        stores: &BlobStores,
        finding: &'static str,
        message: &StoredMessage,
        why: Option<String>,
    ) -> Self {
        Self {
            tenant_id: Some(message.maildrop.tenant().get()),
            account_id: Some(message.maildrop.number()),
            unique_id: Some(message.unique_id.to_string()),
            deleted: Some(message.deleted.is_some()),
            blob: Some(BlobKey::path(&message.body.blob)),
            why,
            ..Self::of_storage(finding, storage_name(stores, message.body.storage))
        }
    }

    const fn of_storage(finding: &'static str, storage: String) -> Self {
        Self {
            finding,
            storage,
            tenant_id: None,
            account_id: None,
            unique_id: None,
            deleted: None,
            blob: None,
            why: None,
        }
    }

    /// `missing   main: account 7 of tenant 1, unique-id 01..., blob 1/a7/...`
    fn text(&self) -> String {
        let mut parts = Vec::new();
        if let (Some(account), Some(tenant)) = (self.account_id, self.tenant_id) {
            parts.push(format!("account {account} of tenant {tenant}"));
        }
        parts.extend(self.unique_id.as_ref().map(|id| format!("unique-id {id}")));
        if self.deleted == Some(true) {
            parts.push("deleted, within its retention".to_owned());
        }
        parts.extend(self.blob.as_ref().map(|blob| format!("blob {blob}")));
        parts.extend(self.why.clone());
        format!("{:<9} {}: {}", self.finding, self.storage, parts.join(", "))
    }
}

fn storage_name(stores: &BlobStores, id: restante_store::StorageId) -> String {
    stores
        .name(id)
        .map_or_else(|| format!("number {}", id.0), str::to_owned)
}

pub(crate) async fn run(args: VerifyArgs) -> Result<(), Failure> {
    let (_, backends) = super::open(&args.config.config).await?;
    let maildrop = match &args.account {
        Some(name) => Some(
            super::account_of(&*backends.directory, &LoginName::parse(name)?)
                .await?
                .id
                .maildrop(),
        ),
        None => None,
    };
    let expected = match maildrop {
        Some(maildrop) => backends.index.usage(maildrop).await?.0,
        None => backends.custody.total().await?,
    };
    let mut audit = Audit {
        json: args.json,
        backends: &backends,
        progress: Progress::new("verify", expected.messages),
        n_blobs: 0,
        n_findings: 0,
        printed: Ok(()),
    };
    let settings = AuditSettings {
        read_bodies: !args.quick,
        ..AuditSettings::default()
    };
    let auditor = Auditor::new(backends.custody.clone(), backends.blobs.clone(), settings);
    auditor
        .check_messages(maildrop, &mut |event| audit.take(event))
        .await?;
    // A blob that nothing names is nobody's: there is none of one account.
    if maildrop.is_none() {
        let now = SystemClock.wall();
        auditor.check_blobs(now, &mut |event| audit.take(event)).await?;
    }
    audit.end()
}

/// What is told while it goes on, and the totals.
struct Audit<'a> {
    json: bool,
    backends: &'a Backends,
    progress: Progress,
    n_blobs: usize,
    n_findings: usize,
    printed: Result<(), std::io::Error>,
}

impl Audit<'_> {
    fn take(&mut self, event: AuditEvent) {
        match event {
            AuditEvent::Checked(octets) => self.progress.message(octets),
            AuditEvent::Listed(n) => {
                self.n_blobs += n;
                self.progress.note(&format!("{} blobs", self.n_blobs));
            }
            AuditEvent::Found(finding) => {
                self.n_findings += 1;
                let view = View::new(&self.backends.blobs, &finding);
                let text = if self.json { json(&view) } else { view.text() };
                let printed = self.progress.aside(|| line(text));
                if self.printed.is_ok() {
                    self.printed = printed;
                }
            }
        }
    }

    fn end(self) -> Result<(), Failure> {
        self.progress.end();
        self.printed?;
        let totals = Totals {
            messages: self.progress.n_messages(),
            octets: self.progress.octets().get(),
            blobs: self.n_blobs,
            findings: self.n_findings,
        };
        if self.json {
            line(json(&totals))?;
        } else {
            line(format!(
                "{} messages of {} octets and {} blobs looked at: {} findings.",
                totals.messages, totals.octets, totals.blobs, totals.findings
            ))?;
        }
        match totals.findings {
            0 => Ok(()),
            n => Err(anyhow!("{n} things do not fit; nothing was changed").into()),
        }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
