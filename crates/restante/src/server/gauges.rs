//! Gauges that are states of something else: read before each scrape.

use std::sync::Arc;

use restante_auth::Authenticator;
use restante_net::ConnectionBudget;
use restante_plugin::PluginSlot;
use restante_telemetry::{Gauge, Metrics, Telemetry, number};

use super::health::Health;
use super::listeners::Budgets;

pub(super) fn watch(
    telemetry: &Telemetry,
    budgets: &Budgets,
    authenticator: &Arc<Authenticator>,
    health: &Health,
    plugins: Vec<Arc<PluginSlot>>,
) {
    let (sessions, deliveries) = (budgets.sessions.clone(), budgets.deliveries.clone());
    let (authenticator, health) = (Arc::clone(authenticator), health.clone());
    telemetry.before_scrape(move |metrics| {
        connections(metrics, "pop3", &sessions);
        connections(metrics, "lmtp", &deliveries);
        passwords(metrics, &authenticator);
        for slot in &plugins {
            plugin(metrics, slot);
        }
        metrics.set(
            Gauge::Ready,
            &[],
            f64::from(u8::from(health.reasons().is_empty())),
        );
        metrics.set(Gauge::Draining, &[], f64::from(u8::from(health.is_draining())));
    });
}

fn connections(metrics: &Metrics, name: &str, budget: &ConnectionBudget) {
    let (usage, limits) = (budget.usage(), budget.limits());
    let strangers = f64::from(usage.unauthenticated);
    metrics.set(Gauge::ConnectionsOpen, &[name, "open"], f64::from(usage.open));
    metrics.set(Gauge::ConnectionsOpen, &[name, "unauthenticated"], strangers);
    metrics.set(Gauge::ConnectionsLimit, &[name, "open"], f64::from(limits.total));
    metrics.set(
        Gauge::ConnectionsLimit,
        &[name, "unauthenticated"],
        f64::from(limits.unauthenticated),
    );
}

fn passwords(metrics: &Metrics, authenticator: &Authenticator) {
    let (load, limits) = (authenticator.load(), authenticator.gate_limits());
    metrics.set(Gauge::PasswordHashes, &["running"], number(load.running));
    metrics.set(Gauge::PasswordHashes, &["waiting"], number(load.waiting));
    metrics.set(Gauge::PasswordHashesLimit, &["running"], number(limits.permits));
    metrics.set(Gauge::PasswordHashesLimit, &["waiting"], number(limits.queue));
}

fn plugin(metrics: &Metrics, slot: &PluginSlot) {
    let (name, load) = (slot.name(), slot.load());
    metrics.set(Gauge::PluginInstances, &[name, "idle"], number(load.n_idle));
    metrics.set(Gauge::PluginInstances, &[name, "used"], number(load.n_used));
    metrics.set(Gauge::PluginInstancesLimit, &[name], number(load.limit));
    metrics.set(Gauge::PluginMemory, &[name], number(slot.peaks().memory));
    metrics.set(Gauge::PluginMemoryLimit, &[name], number(slot.limits().memory));
    metrics.set(Gauge::PluginBreakerOpen, &[name], number(load.n_resting));
    match load.is_ready {
        Some(is_ready) => metrics.set(Gauge::PluginReady, &[name], f64::from(u8::from(is_ready))),
        None => metrics.remove(Gauge::PluginReady, &[name]),
    }
}
