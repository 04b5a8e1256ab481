//! `restante demo`: the whole thing on loopback, with nothing to set up.

mod mail;
mod place;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use restante_auth::{LoginName, NewAccount};
use restante_config::{Config, ListenAddress, Listener, Protocol};

use self::place::{ACCOUNTS, DOMAIN, Place, TENANT};
use crate::backends::{self, Backends, node_name};
use crate::logging;
use crate::output::{Failure, line};
use crate::password;
use crate::server::Server;

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Where its data lies; made if it is not there
    #[arg(long, value_name = "DIR", default_value = "restante-data")]
    pub(super) data: PathBuf,
    /// Throw away what an earlier demo left there and start anew
    #[arg(long)]
    pub(super) fresh: bool,
    /// Port for POP3 with STLS; 0 takes a free one
    #[arg(long, default_value_t = 1110)]
    pub(super) pop3_port: u16,
    /// Port for POP3S; 0 takes a free one
    #[arg(long, default_value_t = 1995)]
    pub(super) pop3s_port: u16,
    /// Port for delivery by LMTP; 0 takes a free one
    #[arg(long, default_value_t = 1124)]
    pub(super) lmtp_port: u16,
    /// Port for the status page, metrics and the admin API; 0 takes a free one
    #[arg(long, default_value_t = 1180)]
    pub(super) admin_port: u16,
}

pub(crate) async fn run(args: DemoArgs) -> Result<(), Failure> {
    let (config, place) = prepare(&args)?;
    config.check().map_err(Failure::setup)?;
    backends::migrate(&config).await?;
    serve(&config, &place).await
}

/// Makes the folder, or finds it, and the configuration of a demo in it.
pub(super) fn prepare(args: &DemoArgs) -> Result<(Config, Place), Failure> {
    Place::check_idle(&args.data).map_err(Failure::setup)?;
    if args.fresh {
        Place::clear(&args.data).map_err(Failure::setup)?;
    }
    let place = Place::prepare(&args.data).map_err(Failure::setup)?;
    let config = configuration(&place, args);
    Ok((config, place))
}

/// Serves the demo until it is stopped.
pub(super) async fn serve(config: &Config, place: &Place) -> Result<(), Failure> {
    place.write_configuration(config).map_err(Failure::setup)?;
    let telemetry = logging::telemetry(config);
    let logs = logging::start_to_serve(config, node_name(config, None), &telemetry)?;
    let backends = Backends::open_to_serve(config, None, &telemetry).await?;
    let server = Server::assemble(config, &backends, None, &telemetry, logs).await?;
    let n_delivered = furnish(config, &backends, place).await.map_err(Failure::setup)?;
    say_how(&server, place, n_delivered)?;
    server.run().await;
    backends.close().await;
    line("Stopped. The mail is still here: start the demo again to find it, or with --fresh to start anew.")?;
    Ok(())
}

fn configuration(place: &Place, args: &DemoArgs) -> Config {
    let loopback = |port: u16| ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let listener = |port: u16, protocol: Protocol| Listener::new(loopback(port), protocol);
    let mut config = Config {
        listener: vec![
            listener(args.pop3_port, Protocol::Pop3),
            listener(args.pop3s_port, Protocol::Pop3s),
            listener(args.lmtp_port, Protocol::Lmtp),
        ],
        ..Config::default()
    };
    config.admin.address = Some(loopback(args.admin_port));
    config.telemetry.tenant_metrics = true;
    place.furnish_configuration(&mut config);
    config
}

/// Makes the tenant, the accounts and their mail where they are missing; answers how many messages were delivered.
async fn furnish(config: &Config, backends: &Backends, place: &Place) -> anyhow::Result<usize> {
    if place.is_furnished() {
        return Ok(0);
    }
    let directory = &backends.directory;
    if directory.tenant(TENANT).await?.is_none() {
        directory.add_tenant(TENANT, &config.default_storage).await?;
    }
    if directory.domain(DOMAIN).await?.is_none() {
        directory.add_domain(TENANT, DOMAIN).await?;
    }
    let mut n_delivered = 0;
    for local_part in ACCOUNTS {
        let name = LoginName::parse(&format!("{local_part}@{DOMAIN}"))?;
        // Left by a demo that was killed on the way here: nobody knows which of its mail is there.
        if directory.recipient(&name).await?.is_some() {
            directory.remove_account(&name).await?;
        }
        let rule = password::rule(&config.auth)?;
        let hash = password::hash_octets(place.password(local_part)?.as_bytes(), &rule, false)?;
        let account = NewAccount {
            name,
            password: Some(hash),
            quota_octets: None,
            quota_messages: None,
        };
        let account = directory.add_account(account).await?;
        for message in mail::messages(local_part) {
            let spooled = super::deliver::spool(config, message.as_ref()).await?;
            super::deliver::deliver(backends, &account, &spooled).await?;
            n_delivered += 1;
        }
    }
    place.mark_furnished()?;
    Ok(n_delivered)
}

/// Prints what to type next.
fn say_how(server: &Server, place: &Place, n_delivered: usize) -> anyhow::Result<()> {
    let addresses = server.addresses();
    let [Some(pop3), Some(pop3s), Some(lmtp)] = [addresses.first(), addresses.get(1), addresses.get(2)]
    else {
        bail!("the demo listens on three addresses")
    };
    let (pop3, pop3s, lmtp) = (port(pop3)?, port(pop3s)?, port(lmtp)?);
    let user = format!("{}@{DOMAIN}", ACCOUNTS[0]);
    let password = place.password(ACCOUNTS[0])?;
    let certificate = shell(&place.certificate());
    let configuration = shell(&place.configuration());
    let program = std::env::current_exe().map_or_else(|_| "restante".to_owned(), |path| shell(&path));
    line(format!(
        "Restante demo: POP3S on 127.0.0.1:{pop3s}, POP3 with STLS on 127.0.0.1:{pop3}, LMTP on 127.0.0.1:{lmtp}.\n"
    ))?;
    match n_delivered {
        0 => line(format!(
            "The maildrops in {} are as you left them.\n",
            place.root().display()
        ))?,
        n => line(format!(
            "{n} messages were delivered into {}.\n",
            place.root().display()
        ))?,
    }
    line("List the maildrop, read its third message, delete it:")?;
    let curl = format!("curl --cacert {certificate} -u '{user}:{password}'");
    line(format!("  {curl} pop3s://localhost:{pop3s}/"))?;
    line(format!("  {curl} pop3s://localhost:{pop3s}/3"))?;
    line(format!(
        "  {curl} pop3s://localhost:{pop3s}/3 --list-only --request DELE"
    ))?;
    line("\nSettings of a mail program:")?;
    for (name, value) in [
        ("Server", "localhost".to_owned()),
        ("Port", format!("{pop3s} (SSL/TLS), or {pop3} (STARTTLS)")),
        ("Certificate", "self-signed: accept it once when asked".to_owned()),
    ] {
        line(format!("  {name:<13}{value}"))?;
    }
    for local_part in ACCOUNTS {
        line(format!(
            "  {:<13}{local_part}@{DOMAIN}   password {}",
            "User",
            place.password(local_part)?
        ))?;
    }
    line("\nDeliver a message of your own, then look again:")?;
    line(format!(
        "  printf 'Subject: hello\\n\\nIt works.\\n' | {program} deliver --config {configuration} --to {user}"
    ))?;
    if let Some(admin) = server.admin_address() {
        let admin = port(&admin)?;
        line("\nSee how it does, in a browser and as Prometheus does:")?;
        line(format!("  http://127.0.0.1:{admin}/"))?;
        line(format!("  curl http://127.0.0.1:{admin}/metrics"))?;
    }
    line("\nCtrl-C stops it.")?;
    Ok(())
}

fn port(address: &restante_net::ListenAddress) -> anyhow::Result<u16> {
    match address {
        restante_net::ListenAddress::Tcp(address) => Ok(address.port()),
        restante_net::ListenAddress::Unix(_) => bail!("the demo listens on loopback"),
    }
}

/// A path as a shell takes it.
fn shell(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/._-+".contains(c));
    if plain {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Random and easy to type: four groups of four.
fn fresh_password() -> anyhow::Result<String> {
    // 32 letters and digits without look-alikes: five bits each.
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut chance = [0; 16];
    getrandom::fill(&mut chance)
        .ok()
        .context("no random octets from the system")?;
    let groups: Vec<String> = chance
        .chunks(4)
        .map(|group| {
            group
                .iter()
                .map(|octet| char::from(LETTERS[usize::from(octet % 32)]))
                .collect()
        })
        .collect();
    Ok(groups.join("-"))
}
