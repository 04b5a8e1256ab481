//! `restante policy`.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use restante_auth::{OauthProvider, Policy, Tenant, TenantPatch, TlsRequirement, TokenCheck};
use restante_sasl::LoginMechanism;
use restante_types::Secret;
use serde::Serialize;

use crate::administration::{Administration, At};
use crate::cli::{Limit, duration, limit_or_none};
use crate::output::{self, Failure, line};
use crate::{certificates, password};

/// More providers than any tenant has.
const MAX_PROVIDERS: usize = 8;
const DAY: u64 = 86_400;

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Show what a tenant lays down for its users
    #[command(after_help = "Example:\n  restante policy show acme\n  restante policy show acme --json")]
    Show {
        /// The tenant
        tenant: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        at: At,
    },
    /// Change what a tenant lays down; what is not named stays
    #[command(
        after_help = "Example:\n  restante policy set acme --mechanisms SCRAM-SHA-256,PLAIN --tls tls13\n  \
        restante policy set acme --login-delay 5m --login-burst 3 --expire 90d --delete keep:30d\n  \
        restante policy set acme --max-sessions none"
    )]
    Set(Box<SetArgs>),
    /// Accept access tokens of an issuer
    #[command(
        after_help = "Example:\n  restante policy add-issuer acme --issuer https://id.acme.example --audience mail \
        --jwks-url https://id.acme.example/keys\n  restante policy add-issuer acme --issuer https://id.acme.example \
        --audience mail --introspection-url https://id.acme.example/introspect --client-id pop3 --client-secret-file secret.txt"
    )]
    AddIssuer(Box<IssuerArgs>),
    /// Accept an issuer's access tokens no more
    #[command(after_help = "Example:\n  restante policy remove-issuer acme --issuer https://id.acme.example")]
    RemoveIssuer {
        /// The tenant
        tenant: String,
        /// The issuer
        #[arg(long)]
        issuer: String,
        #[command(flatten)]
        at: At,
    },
}

#[derive(Args, Debug)]
pub(crate) struct SetArgs {
    /// The tenant
    tenant: String,
    /// How its users may log in, with commas between: USER, PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS,
    /// OAUTHBEARER, XOAUTH2, EXTERNAL
    #[arg(long, value_delimiter = ',', value_parser = mechanism, value_name = "NAMES")]
    mechanisms: Option<Vec<LoginMechanism>>,
    /// The oldest TLS for a login
    #[arg(long, value_parser = tls, value_name = "listener|tls12|tls13")]
    tls: Option<TlsRequirement>,
    /// Whether only application passwords open a maildrop
    #[arg(long, value_name = "true|false")]
    app_passwords_only: Option<bool>,
    /// The least time between two logins of an account: 90s, 5m, or none
    #[arg(long, value_parser = time_or_none, value_name = "TIME")]
    login_delay: Option<Limit>,
    /// How many logins may come at once before the delay holds
    #[arg(long, value_name = "LOGINS", value_parser = clap::value_parser!(u32).range(1..=1000))]
    login_burst: Option<u32>,
    /// After how many days a message is removed, as in 90d, or never
    #[arg(long, value_parser = days_or_never, value_name = "DAYS")]
    expire: Option<Limit>,
    /// What becomes of a deleted message: expunge at once, or keep:30d so that it can be brought back
    #[arg(long, value_parser = delete_mode, value_name = "expunge|keep:TIME")]
    delete: Option<std::time::Duration>,
    /// How many sessions all its users together may have open, or none for no limit
    #[arg(long, value_parser = limit_or_none, value_name = "SESSIONS")]
    max_sessions: Option<Limit>,
    /// How many octets an account may read in 24 hours, as in 5G, or none
    #[arg(long, value_parser = limit_or_none, value_name = "OCTETS")]
    max_octets_per_day: Option<Limit>,
    /// List so many of the newest messages only, or none for all
    #[arg(long, value_parser = limit_or_none, value_name = "MESSAGES")]
    listing_messages: Option<Limit>,
    /// List the messages of so many days only, as in 30d, or never for all
    #[arg(long, value_parser = days_or_never, value_name = "DAYS")]
    listing_days: Option<Limit>,
    #[command(flatten)]
    at: At,
}

#[derive(Args, Debug)]
pub(crate) struct IssuerArgs {
    /// The tenant
    tenant: String,
    /// What tokens say in `iss`
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// What tokens say in `aud`; may be given several times
    #[arg(long, required = true)]
    audience: Vec<String>,
    /// Where the issuer's keys are published
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "introspection_url",
        conflicts_with = "introspection_url"
    )]
    jwks_url: Option<String>,
    /// Where the issuer answers about a token
    #[arg(long, value_name = "URL", requires_all = ["client_id", "client_secret_file"])]
    introspection_url: Option<String>,
    /// As whom the server asks there
    #[arg(long, value_name = "ID", requires = "introspection_url")]
    client_id: Option<String>,
    /// The secret for it: the first line of a file
    #[arg(long, value_name = "FILE", requires = "introspection_url")]
    client_secret_file: Option<PathBuf>,
    /// The claim that holds the login name
    #[arg(long, default_value = "email")]
    name_claim: String,
    /// A scope that a token must have
    #[arg(long)]
    scope: Option<String>,
    #[command(flatten)]
    at: At,
}

/// A tenant's policy with what else decides how it deletes.
#[derive(Serialize)]
struct View {
    tenant: String,
    keep_deleted_secs: u64,
    #[serde(flatten)]
    policy: Policy,
}

pub(crate) async fn run(command: PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Show { tenant, json, at } => {
            let office = at.open().await?;
            show(tenant_of(&office, &tenant).await?, json)?;
        }
        PolicyCommand::Set(args) => {
            let office = args.at.open().await?;
            let tenant = tenant_of(&office, &args.tenant).await?;
            let retention = args.delete;
            let policy = args.apply(tenant.policy)?;
            change(&office, &tenant.name, policy, retention).await?;
        }
        PolicyCommand::AddIssuer(args) => add_issuer(*args).await?,
        PolicyCommand::RemoveIssuer { tenant, issuer, at } => {
            let office = at.open().await?;
            let tenant = tenant_of(&office, &tenant).await?;
            let mut policy = tenant.policy;
            let before = policy.oauth.len();
            policy.oauth.retain(|provider| provider.issuer != issuer);
            if policy.oauth.len() == before {
                return Err(anyhow!("{} accepts no tokens of {issuer}", tenant.name).into());
            }
            change(&office, &tenant.name, policy, None).await?;
        }
    }
    Ok(())
}

async fn tenant_of(office: &Administration, name: &str) -> anyhow::Result<Tenant> {
    let tenant = office.directory().tenant(name).await?;
    tenant.ok_or_else(|| anyhow!("there is no tenant {name}; `restante tenant list` shows them"))
}

async fn change(
    office: &Administration,
    tenant: &str,
    policy: Policy,
    retention: Option<std::time::Duration>,
) -> anyhow::Result<()> {
    let patch = TenantPatch {
        policy: Some(policy),
        retention,
        ..TenantPatch::default()
    };
    let tenant = office.directory().set_tenant(tenant, patch).await?;
    line(format!("Policy of {} changed.", tenant.name))?;
    Ok(())
}

impl SetArgs {
    fn apply(self, mut policy: Policy) -> anyhow::Result<Policy> {
        if let Some(mut mechanisms) = self.mechanisms {
            mechanisms.sort_unstable();
            mechanisms.dedup();
            policy.mechanisms = mechanisms;
        }
        set(&mut policy.tls, self.tls);
        set(&mut policy.app_passwords_only, self.app_passwords_only);
        set(&mut policy.login_burst, self.login_burst);
        if let Some(Limit(secs)) = self.login_delay {
            policy.login_delay_secs = narrow(secs)?.unwrap_or(0);
        }
        if let Some(Limit(octets)) = self.max_octets_per_day {
            policy.max_octets_per_day = octets;
        }
        for (field, limit) in [
            (&mut policy.expire_days, self.expire),
            (&mut policy.max_sessions, self.max_sessions),
            (&mut policy.listing_messages, self.listing_messages),
            (&mut policy.listing_days, self.listing_days),
        ] {
            if let Some(Limit(number)) = limit {
                *field = narrow(number)?;
            }
        }
        Ok(policy)
    }
}

fn set<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

fn narrow(number: Option<u64>) -> anyhow::Result<Option<u32>> {
    let narrow = |number: u64| u32::try_from(number).context("a number past 4 billion");
    number.map(narrow).transpose()
}

async fn add_issuer(args: IssuerArgs) -> Result<(), Failure> {
    let office = args.at.open().await?;
    let tenant = tenant_of(&office, &args.tenant).await?;
    let secret = args
        .client_secret_file
        .as_deref()
        .map(client_secret)
        .transpose()?;
    let check = match (args.jwks_url, args.introspection_url) {
        (Some(jwks_url), _) => TokenCheck::Keys { jwks_url },
        (None, Some(introspection_url)) => TokenCheck::Introspection {
            introspection_url,
            client_id: args.client_id.unwrap_or_default(),
            sealed_client_secret: match (&office, &secret) {
                // It seals the secret itself.
                (Administration::Far(_), _) => String::new(),
                (Administration::Near(_), None) => {
                    return Err(anyhow!("name the secret with --client-secret-file").into());
                }
                (Administration::Near(near), Some(secret)) => {
                    let rule = password::rule(&near.config.auth)?;
                    let keyring = rule.keyring().ok_or_else(|| {
                        anyhow!(
                            "a client secret is kept under seal only: make a file with keys and name it in auth.keys_file"
                        )
                    })?;
                    certificates::seal_client_secret(keyring, &args.issuer, secret.expose().as_bytes())?
                }
            },
        },
        (None, None) => return Err(anyhow!("name --jwks-url or --introspection-url").into()),
    };
    restante_oauth::check_url(check.url())?;
    let mut policy = tenant.policy;
    policy.oauth.retain(|provider| provider.issuer != args.issuer);
    if policy.oauth.len() >= MAX_PROVIDERS {
        return Err(anyhow!("a tenant has at most {MAX_PROVIDERS} issuers; remove one first").into());
    }
    policy.oauth.push(OauthProvider {
        issuer: args.issuer.clone(),
        audiences: args.audience,
        name_claim: args.name_claim,
        scope: args.scope,
        check,
    });
    let bearer = [LoginMechanism::OauthBearer, LoginMechanism::Xoauth2];
    let offered = bearer.iter().any(|mechanism| policy.permits(*mechanism));
    match (&office, &secret) {
        (Administration::Far(server), Some(secret)) => {
            let changed = server.set_policy_with_secret(&tenant.name, policy, &args.issuer, secret);
            changed.await?;
            line(format!("Policy of {} changed.", tenant.name))?;
        }
        _ => change(&office, &tenant.name, policy, None).await?,
    }
    if !offered {
        line(format!(
            "Its users cannot use tokens yet. Next: restante policy set {} --mechanisms OAUTHBEARER,XOAUTH2,...",
            tenant.name
        ))?;
    }
    Ok(())
}

fn client_secret(file: &Path) -> anyhow::Result<Secret<String>> {
    let secret = password::first_line_of(file)?;
    let text = str::from_utf8(secret.expose()).context("the client secret is not text")?;
    Ok(Secret::new(text.to_owned()))
}

fn show(tenant: Tenant, json: bool) -> anyhow::Result<()> {
    let view = View {
        tenant: tenant.name,
        keep_deleted_secs: tenant.retention.as_secs(),
        policy: tenant.policy,
    };
    let policy = &view.policy;
    let names: Vec<_> = policy
        .mechanisms
        .iter()
        .map(|mechanism| mechanism.name())
        .collect();
    let issuers: Vec<_> = policy
        .oauth
        .iter()
        .map(|provider| provider.issuer.as_str())
        .collect();
    let days =
        |days: Option<u32>, none: &str| days.map_or_else(|| none.to_owned(), |days| format!("{days} days"));
    let number = |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let delete = match view.keep_deleted_secs {
        0 => "expunge at once".to_owned(),
        secs => format!("keep {secs}s"),
    };
    let tls = match policy.tls {
        TlsRequirement::Listener => "as the listener permits",
        TlsRequirement::Tls12 => "1.2",
        TlsRequirement::Tls13 => "1.3",
    };
    let delay = format!("{}s, {} at once", policy.login_delay_secs, policy.login_burst);
    output::record(
        json,
        &view,
        &[
            ("tenant", view.tenant.clone()),
            ("mechanisms", names.join(" ")),
            ("oldest TLS", tls.to_owned()),
            ("app passwords only", policy.app_passwords_only.to_string()),
            ("login delay", delay),
            ("expire", days(policy.expire_days, "never")),
            ("deleted messages", delete),
            ("sessions", number(policy.max_sessions.map(u64::from))),
            ("octets per day", number(policy.max_octets_per_day)),
            ("listed messages", number(policy.listing_messages.map(u64::from))),
            ("listed days", days(policy.listing_days, "all")),
            ("token issuers", issuers.join(" ")),
        ],
    )
}

fn mechanism(text: &str) -> Result<LoginMechanism, String> {
    let known = || {
        let names: Vec<_> = LoginMechanism::ALL
            .iter()
            .map(|mechanism| mechanism.name())
            .collect();
        format!("one of {}", names.join(", "))
    };
    LoginMechanism::from_name(&text.to_ascii_uppercase()).ok_or_else(known)
}

fn tls(text: &str) -> Result<TlsRequirement, String> {
    match text {
        "listener" => Ok(TlsRequirement::Listener),
        "tls12" => Ok(TlsRequirement::Tls12),
        "tls13" => Ok(TlsRequirement::Tls13),
        _ => Err("listener, tls12 or tls13".to_owned()),
    }
}

fn time_or_none(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    duration(text).map(|time| Limit(Some(time.as_secs())))
}

fn days_or_never(text: &str) -> Result<Limit, String> {
    if text == "never" {
        return Ok(Limit(None));
    }
    let days = duration(text)?.as_secs() / DAY;
    if days == 0 {
        return Err("at least one day, as in 30d, or never".to_owned());
    }
    Ok(Limit(Some(days)))
}

fn delete_mode(text: &str) -> Result<std::time::Duration, String> {
    match text.strip_prefix("keep:") {
        Some(time) => duration(time),
        None if text == "expunge" => Ok(std::time::Duration::ZERO),
        None => Err("expunge, or keep: and a time, as in keep:30d".to_owned()),
    }
}
