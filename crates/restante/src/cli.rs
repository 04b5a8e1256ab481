//! The command line: what can be asked, and how.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::command::{
    account, alias, app_password, audit, certificate, collector, deliver, demo, domain, plugin, policy,
    restore, session, storage, tenant, verify,
};

/// The POP3 tier of a hosted e-mail provider.
///
/// `restante demo` shows it on this machine, with mail to read and nothing to set up. `restante serve` runs it for
/// real, from a configuration file; `restante check-config` says what is wrong with one.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done; 1 it could not be done; 2 the command line or the configuration is wrong."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which configuration to work with.
#[derive(Args, Debug)]
pub(crate) struct ConfigArg {
    /// The configuration file
    #[arg(
        long,
        value_name = "FILE",
        env = "RESTANTE_CONFIG",
        default_value = "/etc/restante/restante.toml"
    )]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it: a server on loopback with a tenant, two accounts and mail to read
    #[command(after_help = "Example:\n  restante demo\n  restante demo --fresh --data ./somewhere")]
    Demo(demo::DemoArgs),
    /// Serve POP3 and LMTP as the configuration says
    #[command(
        after_help = "Example:\n  restante serve --config /etc/restante/restante.toml\n\n\
        Signals: SIGHUP reads the configuration, tokens and certificates again and says what waits for the next start; \
        SIGTERM drains and ends, a second one hurries."
    )]
    Serve {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Say what is wrong with a configuration, without serving
    #[command(
        after_help = "Example:\n  restante check-config --config restante.toml\n  restante check-config --offline"
    )]
    CheckConfig {
        #[command(flatten)]
        config: ConfigArg,
        /// Look at the file alone: open no database and no storage
        #[arg(long)]
        offline: bool,
    },
    /// Bring the database to the shape that this release needs
    #[command(after_help = "Example:\n  restante migrate --config restante.toml")]
    Migrate {
        #[command(flatten)]
        config: ConfigArg,
    },
    /// Customers of the provider
    #[command(subcommand)]
    Tenant(tenant::TenantCommand),
    /// Mail domains of a tenant
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Users who read mail
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Second addresses of users
    #[command(subcommand)]
    Alias(alias::AliasCommand),
    /// Passwords for single programs
    #[command(subcommand)]
    AppPassword(app_password::AppPasswordCommand),
    /// Certificates of tenants
    #[command(subcommand)]
    Certificate(certificate::CertificateCommand),
    /// What tenants lay down for their users
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Storage plugins in WebAssembly
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
    /// Who did what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Put a message into a maildrop
    #[command(
        after_help = "Example:\n  restante deliver --to alice@example.org < message.eml\n\n\
        Exit codes: 0 delivered to all; 1 to some or none, and which is said. A message that was delivered stays \
        delivered."
    )]
    Deliver(deliver::DeliverArgs),
    /// Where messages are kept
    #[command(subcommand)]
    Storage(storage::StorageCommand),
    /// Look whether every message has its octets and every blob its message
    #[command(
        after_help = "Example:\n  restante verify\n  restante verify --account alice@example.org\n  \
        restante verify --quick --json\n\n\
        It changes nothing and may run while mail is read and delivered.\n\n\
        Exit codes: 0 everything fits; 1 something does not, and what is said."
    )]
    Verify(verify::VerifyArgs),
    /// Bring back messages that were deleted, within the tenant's retention
    #[command(after_help = "Example:\n  restante restore alice@example.org --list\n  \
        restante restore alice@example.org --deleted-within 2h\n  \
        restante restore alice@example.org --unique-id 01JD2Z4M3X8Q0F7C5S9T1V6B2N\n\n\
        They come back at their place and under their unique-ids, in the next session.")]
    Restore(restore::RestoreArgs),
    /// The removal of octets that no message needs any more
    #[command(subcommand)]
    Collector(collector::CollectorCommand),
    /// List the sessions of all frontends
    #[command(
        after_help = "Example:\n  restante sessions\n  restante sessions --account alice@example.org --json"
    )]
    Sessions(session::SessionsArgs),
    /// End a session; it deletes nothing
    #[command(after_help = "Example:\n  restante kick alice@example.org")]
    Kick(session::EndArgs),
    /// Free a maildrop whose frontend gives no sign of life
    #[command(after_help = "Example:\n  restante unlock alice@example.org\n\n\
        Rarely needed: 25 seconds after its frontend has died the next login gets the maildrop.")]
    Unlock(session::EndArgs),
    /// Print completions for a shell
    #[command(
        after_help = "Example:\n  restante completions bash > /usr/share/bash-completion/completions/restante"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// A part of a long list.
#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Only names after this one
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl ListArgs {
    pub(crate) fn page(&self) -> restante_auth::Page {
        restante_auth::Page {
            after: self.after.clone(),
            limit: self.limit,
        }
    }
}

/// A limit that can be lifted: a number, or `none`.
pub(crate) fn limit_or_none(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    octets(text).map(|n| Limit(Some(n)))
}

/// A parsed `--quota...` argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(pub(crate) Option<u64>);

/// A number with an optional `k`, `M`, `G` or `T` (powers of 1024).
pub(crate) fn octets(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.len() - 1, 10),
        Some(b'M') => (text.len() - 1, 20),
        Some(b'G') => (text.len() - 1, 30),
        Some(b'T') => (text.len() - 1, 40),
        _ => (text.len(), 0),
    };
    let number: Option<u64> = text.get(..digits).and_then(|digits| digits.parse().ok());
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|number| i64::try_from(*number).is_ok())
        .ok_or_else(|| "a number, with k, M, G or T for powers of 1024, or none".to_owned())
}

/// A time with a unit: `90s`, `15m`, `24h`, `30d`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || "a number with a unit: 90s, 15m, 24h or 30d".to_owned();
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        Some(b'd') => 86_400,
        _ => return Err(wrong()),
    };
    let number: Option<u64> = text.get(..text.len() - 1).and_then(|digits| digits.parse().ok());
    let seconds = number
        .and_then(|number| number.checked_mul(unit))
        .filter(|seconds| *seconds <= 3650 * 86_400);
    seconds.map(std::time::Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            if command.has_subcommands() {
                for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                    check(sub, &path);
                }
                return;
            }
            let after = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                after.contains("Example:") && after.contains(path.trim()),
                "{path} has no example"
            );
        }
        for sub in Cli::command().get_subcommands() {
            check(sub, "restante");
        }
    }

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(octets("25M"), Ok(25 << 20));
        assert_eq!(octets("7"), Ok(7));
        assert_eq!(limit_or_none("none").unwrap().0, None);
        for wrong in ["", "M", "-1", "1.5G", "9999999999T", "1 M", "ten"] {
            assert!(octets(wrong).is_err(), "{wrong}");
        }
        assert_eq!(duration("24h"), Ok(std::time::Duration::from_hours(24)));
        for wrong in ["", "h", "24", "-1h", "99999999d", "1w"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
