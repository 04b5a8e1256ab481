//! The status page: this process at a glance, in plain HTML. Rendered here, with nothing from elsewhere and no script.
//!
//! It shows no account, no client and no secret, since everybody who reaches the port may read it. Start at [`render`].

mod table;

use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::response::IntoResponse;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::text::html;
use crate::{AdminService, CertificateFacts, Health, NodeFacts, PluginState, StorageFacts};
use table::{Table, dot};

const STYLE: &str = include_str!("page.css");
const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// A certificate that ends within so many days is shown as a warning: time enough to see why it was not renewed.
const SOON_DAYS: i64 = 14;
const DAY: i64 = 86_400;

/// The page may show itself with its own style, and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

pub(crate) fn routes() -> OpenApiRouter<AdminService> {
    OpenApiRouter::new()
        .routes(routes!(page))
        .routes(routes!(document))
}

/// The status page of this process
#[utoipa::path(get, path = "/", tag = "health", operation_id = "status_page", responses(
    (status = 200, description = "a page for people", content_type = "text/html", body = String)
))]
async fn page(State(service): State<AdminService>) -> impl IntoResponse {
    let ports = service.ports();
    let facts = Facts {
        node: (ports.node)(),
        storages: (ports.storages)(),
        unready: (ports.unready)(),
        now: ports.clock.wall(),
    };
    let headers = [
        (header::CONTENT_TYPE, HTML),
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
    ];
    (headers, render(&facts))
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "health", operation_id = "openapi", responses(
    (status = 200, description = "OpenAPI", content_type = "application/json", body = serde_json::Value)
))]
async fn document(State(service): State<AdminService>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, JSON)], service.document_text().to_owned())
}

/// What the page shows.
struct Facts {
    node: NodeFacts,
    storages: Vec<StorageFacts>,
    unready: Vec<String>,
    now: SystemTime,
}

fn render(facts: &Facts) -> String {
    let node = &facts.node;
    let mut page = String::with_capacity(16 * 1024);
    let is_ready = facts.unready.is_empty();
    let (mood, word) = if is_ready {
        ("good", "ready")
    } else {
        ("bad", "not ready")
    };
    put(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<meta http-equiv=\"refresh\" content=\"30\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{name} \u{2013} {word}</title>\n<style>{STYLE}</style>\n</head>\n\
             <body>\n<main>\n<header>\n<div>\n<p class=\"brand\">Restante</p>\n<h1>{name}</h1>\n</div>\n\
             <p class=\"pill {mood}\">{dot}{word}</p>\n</header>\n",
            name = html(&node.node),
            dot = dot(mood),
        ),
    );
    if !is_ready {
        page.push_str("<section class=\"alarm\">\n<h2>Why it wants no connections</h2>\n<ul>\n");
        for reason in &facts.unready {
            put(&mut page, format_args!("<li>{}</li>\n", html(reason)));
        }
        page.push_str("</ul>\n</section>\n");
    }
    tiles(&mut page, facts);
    storages(&mut page, &facts.storages);
    listeners(&mut page, node);
    certificates(&mut page, &node.certificates, facts.now);
    plugins(&mut page, node);
    put(
        &mut page,
        format_args!(
            "</main>\n<footer>\n<nav><a href=\"/metrics\">Metrics</a> <a href=\"/openapi.json\">OpenAPI document</a> \
             <a href=\"/readyz\">Readiness</a></nav>\n<p>{}; the page looks again every 30 seconds</p>\n</footer>\n\
             </body>\n</html>\n",
            moment(facts.now)
        ),
    );
    page
}

fn tiles(page: &mut String, facts: &Facts) {
    let (node, sessions, logins) = (&facts.node, &facts.node.sessions, &facts.node.logins);
    page.push_str("<div class=\"tiles\">\n");
    let open = sessions.authorization + sessions.transaction + sessions.update;
    let states = [
        ("before login", sessions.authorization, "a"),
        ("open maildrop", sessions.transaction, "b"),
        ("deleting", sessions.update, "c"),
    ];
    parted(page, "Sessions", open, "open now", states);
    let all = logins.granted + logins.refused + logins.faulty;
    let results = [
        ("granted", logins.granted, "b"),
        ("refused", logins.refused, "c"),
        ("faulty", logins.faulty, "d"),
    ];
    parted(page, "Logins", all, "since start", results);
    let uptime = facts.now.duration_since(node.started).unwrap_or_default();
    put(
        page,
        format_args!(
            "<section class=\"tile\">\n<h2>Process</h2>\n<p class=\"figure\">{} <small>up</small></p>\n\
             <dl><dt>version</dt><dd>{}</dd><dt>since</dt><dd>{}</dd></dl>\n</section>\n</div>\n",
            long(uptime),
            html(&node.version),
            moment(node.started)
        ),
    );
}

/// A number, the parts that it has, and a bar of their shares.
fn parted(page: &mut String, title: &str, all: u64, of: &str, parts: [(&str, u64, &str); 3]) {
    put(
        page,
        format_args!(
            "<section class=\"tile\">\n<h2>{title}</h2>\n<p class=\"figure\">{} <small>{of}</small></p>\n\
             <svg class=\"bar\" viewBox=\"0 0 1000 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
            grouped(all)
        ),
    );
    let mut x = 0;
    for (_, number, fill) in parts {
        let width = share(number, all);
        put(
            page,
            format_args!("<rect class=\"{fill}\" x=\"{x}\" y=\"0\" width=\"{width}\" height=\"8\"/>"),
        );
        x += width;
    }
    page.push_str("</svg>\n<dl>");
    for (name, number, fill) in parts {
        put(
            page,
            format_args!(
                "<dt><i class=\"{fill}\"></i>{name}</dt><dd>{}</dd>",
                grouped(number)
            ),
        );
    }
    page.push_str("</dl>\n</section>\n");
}

fn storages(page: &mut String, storages: &[StorageFacts]) {
    let mut table = Table::new("Storages", &["Name", "Kind", "Health", ""]);
    for storage in storages {
        let (mood, trouble) = match &storage.health {
            Health::Well => ("good", ""),
            Health::Unknown => ("dull", "not asked yet"),
            Health::Failing(trouble) => ("bad", trouble.as_str()),
        };
        let kind = match &storage.plugin {
            Some(plugin) => format!("{} {plugin}", storage.kind),
            None => storage.kind.clone(),
        };
        let note = if storage.is_default { "default" } else { "" };
        table.row(|row| {
            row.text(&storage.name).note(note);
            row.text(&kind);
            row.state(mood, storage.health.as_str());
            row.dim(trouble);
        });
    }
    table.write(page, "No storage is configured.");
}

fn listeners(page: &mut String, node: &NodeFacts) {
    let mut table = Table::new("Listeners", &["Address", "Protocol", "Sessions"]);
    for listener in &node.listeners {
        table.row(|row| {
            row.code(&listener.address);
            row.text(&listener.protocol);
            row.number(listener.sessions.map(grouped).as_deref().unwrap_or("\u{2013}"));
        });
    }
    table.write(page, "It listens nowhere.");
}

fn certificates(page: &mut String, certificates: &[CertificateFacts], now: SystemTime) {
    let mut table = Table::new("Certificates", &["Names", "From", "Until", "Days left"]);
    let mut by_end: Vec<_> = certificates.iter().collect();
    by_end.sort_by_key(|certificate| certificate.not_after);
    for certificate in by_end {
        let end = OffsetDateTime::from(certificate.not_after).unix_timestamp();
        let left = (end - OffsetDateTime::from(now).unix_timestamp()).div_euclid(DAY);
        let mood = match left {
            ..0 => "bad",
            0..SOON_DAYS => "warn",
            _ => "good",
        };
        let days = if left < 0 {
            "ended".to_owned()
        } else {
            left.to_string()
        };
        table.row(|row| {
            row.text(&certificate.names.join(", "));
            row.dim(&certificate.source);
            row.number(&date(certificate.not_after));
            row.state(mood, &days);
        });
    }
    table.write(page, "It shows no certificate: TLS is not configured.");
}

fn plugins(page: &mut String, node: &NodeFacts) {
    let mut table = Table::new("Plugins", &["Name", "State", ""]);
    for plugin in &node.plugins {
        let mood = match plugin.state {
            PluginState::Ready => "good",
            PluginState::Disabled | PluginState::Absent => "dull",
            PluginState::Failing => "bad",
        };
        table.row(|row| {
            row.text(&plugin.name);
            row.state(mood, plugin.state.as_str());
            row.dim(&plugin.detail);
        });
    }
    table.write(page, "No plugin is configured.");
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // A string takes everything.
    page.write_fmt(text).unwrap_or_default();
}

/// The share of a whole, in thousandths.
fn share(part: u64, all: u64) -> u64 {
    let share = u128::from(part) * 1000 / u128::from(all.max(1));
    u64::try_from(share).unwrap_or(1000)
}

/// A number in groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A time in its two largest units.
fn long(time: Duration) -> String {
    let (minutes, hours, days) = (
        time.as_secs() / 60,
        time.as_secs() / 3600,
        time.as_secs() / 86_400,
    );
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", time.as_secs()),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

fn moment(time: SystemTime) -> String {
    let form = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    OffsetDateTime::from(time).format(form).unwrap_or_default()
}

fn date(time: SystemTime) -> String {
    let form = format_description!("[year]-[month]-[day]");
    OffsetDateTime::from(time).format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_easily() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(long(Duration::from_secs(59)), "59 s");
        assert_eq!(long(Duration::from_mins(10)), "10 min");
        assert_eq!(long(Duration::from_mins(62)), "1 h 2 min");
        assert_eq!(long(Duration::from_hours(25)), "1 d 1 h");
        assert_eq!(moment(SystemTime::UNIX_EPOCH), "1970-01-01 00:00:00 UTC");
        assert_eq!(
            (share(1, 4), share(0, 0), share(u64::MAX, u64::MAX)),
            (250, 0, 1000)
        );
    }
}
