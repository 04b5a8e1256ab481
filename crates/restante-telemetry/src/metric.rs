//! Every metric there is: name, help, labels, and for histograms the buckets.
//!
//! Names are `restante_<what>_<unit>[_total]` in base units. The values of a label come from closed sets of the code, or
//! from the configuration (`listener`, `storage`, `plugin`); never from a client. Only `tenant` grows with customers: it
//! is off unless the configuration asks for it, and capped then. `deploy/METRICS.md` is generated from here.

/// What a metric is, for those who read it.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name.
    pub name: &'static str,
    /// What it counts or measures.
    pub help: &'static str,
    /// The names of its labels, in the order in which values are given.
    pub labels: &'static [&'static str],
    /// The upper bounds of a histogram's buckets; empty for the others.
    pub buckets: &'static [f64],
}

macro_rules! metrics {
    ($(#[$doc:meta])* $set:ident; $($variant:ident $name:literal [$($label:literal),*] $(in $buckets:ident)? = $help:literal;)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $set {
            $(#[doc = concat!("`", $name, "`: ", $help)] $variant,)+
        }

        impl $set {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Name, help, labels, buckets.
            pub const fn spec(self) -> Spec {
                match self {
                    $(Self::$variant => Spec {
                        name: $name,
                        help: $help,
                        labels: &[$($label),*],
                        buckets: metrics!(@buckets $($buckets)?),
                    },)+
                }
            }
        }
    };
    (@buckets) => { &[] };
    (@buckets $buckets:ident) => { $buckets };
}

/// A call that a person waits for: from a fraction of a millisecond to the longest deadline.
const CALLS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];
/// The time of a whole session.
const SESSIONS: &[f64] = &[
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0, 1800.0, 7200.0,
];
/// Messages in a maildrop.
const MESSAGES: &[f64] = &[0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

metrics! {
    /// What only grows.
    Counter;
    Connections "restante_connections_total" ["listener", "result"] =
        "Connections by what became of them before their session: accepted, or why not.";
    TlsHandshakes "restante_tls_handshakes_total" ["listener", "result"] =
        "TLS handshakes by version, or by why they failed.";
    Sessions "restante_sessions_total" ["listener", "reason"] = "Sessions that ended, by reason.";
    Commands "restante_commands_total" ["verb", "result"] = "Commands answered with +OK (ok) or -ERR (refused).";
    Refusals "restante_refusals_total" ["code", "reason"] =
        "-ERR replies, by response code (RFC 2449, RFC 3206) and reason.";
    Logins "restante_logins_total" ["mechanism", "result"] =
        "Logins by verdict: granted, refused; and where none was reached throttled (by the limits of attempts), busy (too many passwords to verify) or unavailable.";
    MaildropOpens "restante_maildrop_opens_total" ["result"] =
        "Maildrops asked for after right credentials: opened, or why not.";
    Takeovers "restante_maildrop_takeovers_total" [] =
        "Maildrops taken over from a frontend that gives no sign of life, or from an earlier run of this one.";
    VerifyCache "restante_verify_cache_total" ["result"] =
        "Passwords found in the cache of those verified a moment ago (hit), or hashed (miss).";
    Updates "restante_updates_total" ["result"] =
        "UPDATEs by outcome: committed, fenced by a later session, failed with nothing deleted, or unknown.";
    MessagesDeleted "restante_messages_deleted_total" [] = "Messages removed by UPDATE.";
    MessagesSent "restante_messages_sent_total" ["verb"] = "Messages sent to their end.";
    BodyOctets "restante_body_octets_total" ["verb"] = "Octets of messages sent, before dot-stuffing.";
    BodiesBroken "restante_bodies_broken_total" ["cause"] =
        "Messages that broke off after +OK: the storage failed, or the client went.";
    ConnectionOctets "restante_connection_octets_total" ["listener", "direction"] =
        "Octets on the wire, TLS included, of sessions that ended.";
    Deliveries "restante_deliveries_total" ["result"] = "Deliveries by LMTP, by recipient and result.";
    DeliveredOctets "restante_delivered_octets_total" [] = "Octets of messages delivered.";
    StorageCalls "restante_storage_calls_total" ["storage", "operation", "result"] =
        "Calls to the index of messages (storage=\"index\") and to the storages of their octets; operation=\"verify\" compares octets with what was delivered.";
    StorageOctets "restante_storage_octets_total" ["storage", "operation"] =
        "Octets of messages moved from and to a storage.";
    BlobsCollected "restante_blobs_collected_total" ["result"] =
        "Blobs that no message needs any more: removed, or to be tried again.";
    MessagesExpired "restante_messages_expired_total" [] = "Messages removed because their tenant keeps them no longer.";
    PluginCalls "restante_plugin_calls_total" ["plugin", "function", "result"] =
        "Calls into storage plugins, by result.";
    PluginInstancesDropped "restante_plugin_instances_dropped_total" ["plugin", "cause"] =
        "Plugin instances thrown away, by cause.";
    PluginLogLinesDropped "restante_plugin_log_lines_dropped_total" ["plugin"] =
        "Lines that a plugin logged beyond its limit.";
    PluginLoads "restante_plugin_loads_total" ["plugin", "result"] = "Versions of plugins taken over from the registry.";
    Reloads "restante_reloads_total" ["result"] = "Reloads of configuration and certificates.";
    AuditRecords "restante_audit_records_total" ["result"] = "Records of the audit: written, or lost.";
    AdminRequests "restante_admin_requests_total" ["class"] = "Requests to the admin API by class of status.";
    SpansExported "restante_spans_exported_total" ["result"] = "Spans handed to the collector of traces.";
    TelemetryDropped "restante_telemetry_dropped_total" ["signal"] =
        "Log lines and spans dropped because whoever takes them is too slow.";
    TenantSessions "restante_tenant_sessions_total" ["tenant"] = "Sessions with a login that ended.";
    TenantRefusedLogins "restante_tenant_refused_logins_total" ["tenant"] = "Logins refused for known accounts.";
    TenantBodyOctets "restante_tenant_body_octets_total" ["tenant"] = "Octets of messages sent.";
    TenantSeriesDropped "restante_tenant_series_dropped_total" [] =
        "Observations counted for tenant=\"other\", since the cap of tenants was reached.";
}

metrics! {
    /// What goes up and down.
    Gauge;
    SessionsOpen "restante_sessions_open" ["listener", "state"] = "Sessions by state of RFC 1939.";
    ConnectionsOpen "restante_connections_open" ["budget", "state"] =
        "Connections that hold a place: all, and those without a login.";
    ConnectionsLimit "restante_connections_limit" ["budget", "state"] = "Places for connections.";
    PasswordHashes "restante_password_hashes" ["state"] = "Passwords being verified, and waiting to be.";
    PasswordHashesLimit "restante_password_hashes_limit" ["state"] = "How many passwords may be verified and wait.";
    SharedLimitsLost "restante_shared_limits_lost" [] = "1 while Redis is lost and each frontend limits by itself.";
    HeartbeatAge "restante_lock_heartbeat_age_seconds" [] =
        "Time since this frontend's lease was renewed; at 25 s others take over its maildrops.";
    DirectoryAge "restante_directory_age_seconds" [] = "Time since tenants and live sessions were last compared with the directory.";
    DatabaseConnections "restante_database_connections" ["state"] = "Connections to the database: idle and used.";
    DatabaseConnectionsLimit "restante_database_connections_limit" [] = "Connections to the database that there may be.";
    CollectorBacklog "restante_collector_backlog_blobs" [] =
        "Blobs that wait to be removed, as far as the collector looked in its last round.";
    CollectorStopped "restante_collector_stopped" [] =
        "1 while the collector is switched off, in the configuration or by an operator.";
    CollectorLastRound "restante_collector_last_round_timestamp_seconds" [] =
        "When the collector last got through its list; 0 before the first time.";
    PluginInstances "restante_plugin_instances" ["plugin", "state"] = "Plugin instances: idle and used.";
    PluginInstancesLimit "restante_plugin_instances_limit" ["plugin"] =
        "Plugin instances that there may be, over the tenants that use it.";
    PluginMemory "restante_plugin_memory_peak_octets" ["plugin"] = "Most memory that an instance has taken.";
    PluginMemoryLimit "restante_plugin_memory_limit_octets" ["plugin"] = "Memory that an instance may take.";
    PluginReady "restante_plugin_ready" ["plugin"] = "1 if a version is in force.";
    PluginBreakerOpen "restante_plugin_breaker_open" ["plugin"] =
        "Circuit breakers of the plugin (one for each storage and tenant) that let no call through.";
    Certificates "restante_certificates" ["source"] = "Certificates in force: of files, and of tenants.";
    CertificateExpiry "restante_certificate_expiry_timestamp_seconds" ["source"] = "When the first of them ends.";
    CertificateErrors "restante_certificate_errors" ["source"] =
        "Certificates that could not be loaded at the last attempt; the pairs before stay in force.";
    Ready "restante_ready" [] = "1 if this frontend wants connections.";
    Draining "restante_draining" [] = "1 from SIGTERM on.";
    LastReloadSuccessful "restante_last_reload_successful" [] = "1 if the last reload took everything over.";
    LastReload "restante_last_reload_timestamp_seconds" [] = "When it was.";
    BuildInfo "restante_build_info" ["version"] = "Always 1.";
    TenantSessionsOpen "restante_tenant_sessions_open" ["tenant"] = "Sessions with an open maildrop.";
}

metrics! {
    /// What is measured one by one.
    Histogram;
    TlsHandshakeSeconds "restante_tls_handshake_seconds" [] in CALLS = "Time of a TLS handshake that succeeded.";
    SessionSeconds "restante_session_seconds" ["listener"] in SESSIONS = "Time from accept to close.";
    LoginSeconds "restante_login_seconds" ["stage"] in CALLS =
        "Time of a login by stage: turn (of the attempt limits), verdict and in it hash_wait and hash, lock, listing, and total from PASS or AUTH to +OK.";
    CommandSeconds "restante_command_seconds" ["verb"] in CALLS =
        "Time from a command to the first octet of its reply; of PASS and AUTH with the verdict and the opening.";
    UpdateSeconds "restante_update_seconds" [] in CALLS = "Time of an UPDATE that deletes.";
    DeliverySeconds "restante_delivery_seconds" [] in CALLS = "Time from the end of a message to its last recipient's reply.";
    StorageSeconds "restante_storage_call_seconds" ["storage", "operation"] in CALLS =
        "Time of a call to a storage; of read and put with the time of the other side.";
    PluginSeconds "restante_plugin_call_seconds" ["plugin", "function"] in CALLS = "Time of a call into a plugin.";
    MaildropMessages "restante_maildrop_messages" [] in MESSAGES = "Messages in a maildrop when it is opened.";
}
