//! The statements over the provider's views. They run against a foreign schema in `tests/views.rs`, and are not
//! prepared with the others: a freshly migrated database has no such views.

/// View, column, and the types it may have.
pub(crate) const CONTRACT: &[(&str, &str, &[&str])] = &[
    ("restante_login", "login_name", TEXT),
    ("restante_login", "tenant_id", &["bigint"]),
    ("restante_login", "account_id", &["bigint"]),
    ("restante_login", "account_name", TEXT),
    ("restante_login", "state", TEXT),
    ("restante_login", "tenant_state", TEXT),
    ("restante_login", "quota_octets", &["bigint"]),
    ("restante_login", "quota_messages", &["bigint"]),
    ("restante_login", "storage", TEXT),
    ("restante_login", "password", TEXT),
    ("restante_login", "scram", TEXT),
    ("restante_login", "credential_version", &["bigint"]),
    ("restante_login", "policy", &["jsonb"]),
    ("restante_login", "app_passwords", &["jsonb"]),
    ("restante_recipient", "address", TEXT),
    ("restante_recipient", "tenant_id", &["bigint"]),
    ("restante_recipient", "account_id", &["bigint"]),
    ("restante_recipient", "account_name", TEXT),
    ("restante_recipient", "state", TEXT),
    ("restante_recipient", "tenant_state", TEXT),
    ("restante_recipient", "quota_octets", &["bigint"]),
    ("restante_recipient", "quota_messages", &["bigint"]),
    ("restante_recipient", "storage", TEXT),
    ("restante_tenant", "tenant_id", &["bigint"]),
    ("restante_tenant", "name", TEXT),
    ("restante_tenant", "storage", TEXT),
    ("restante_tenant", "state", TEXT),
    ("restante_tenant", "default_domain", TEXT),
    ("restante_tenant", "server_names", &["ARRAY"]),
    ("restante_tenant", "retention_us", &["bigint"]),
    ("restante_tenant", "quota_octets", &["bigint"]),
    ("restante_tenant", "quota_messages", &["bigint"]),
    ("restante_tenant", "policy", &["jsonb"]),
];
const TEXT: &[&str] = &["text", "character varying"];

pub(crate) const COLUMNS: &str = "SELECT table_name::text, column_name::text, data_type::text
    FROM information_schema.columns
    WHERE table_name IN ('restante_login', 'restante_recipient', 'restante_tenant')
        AND table_schema = ANY (current_schemas(false))";

/// A row for each account of the name, two at most: one too many.
pub(crate) const LOGIN: &str = "SELECT DISTINCT ON (v.tenant_id, v.account_id) v.login_name::text, v.tenant_id, v.account_id, v.account_name::text,
        v.state::text, v.tenant_state::text, v.quota_octets, v.quota_messages, v.storage::text, v.password::text,
        v.scram::text, v.credential_version, coalesce(v.policy::text, '{}') AS policy,
        v.app_passwords::text AS app_passwords,
        EXISTS (SELECT 1 FROM account a WHERE a.account_id = v.account_id AND a.tenant_id = v.tenant_id
            AND a.quota_octets IS NOT DISTINCT FROM v.quota_octets
            AND a.quota_messages IS NOT DISTINCT FROM v.quota_messages) AS has_maildrop
    FROM restante_login v WHERE v.login_name = $1 ORDER BY v.tenant_id, v.account_id LIMIT 2";

pub(crate) const RECIPIENT: &str =
    "SELECT DISTINCT ON (v.tenant_id, v.account_id) v.address::text, v.tenant_id, v.account_id, v.account_name::text, v.state::text,
        v.tenant_state::text, v.quota_octets, v.quota_messages, v.storage::text,
        EXISTS (SELECT 1 FROM account a WHERE a.account_id = v.account_id AND a.tenant_id = v.tenant_id
            AND a.quota_octets IS NOT DISTINCT FROM v.quota_octets
            AND a.quota_messages IS NOT DISTINCT FROM v.quota_messages) AS has_maildrop
    FROM restante_recipient v WHERE v.address = $1 ORDER BY v.tenant_id, v.account_id LIMIT 2";

/// One row for each question, however many names the account logs in with.
pub(crate) const STANDING: &str = "SELECT v.state::text, v.tenant_state::text,
        q.app_password_id IS NULL OR EXISTS (
            SELECT 1 FROM jsonb_array_elements(v.app_passwords) w
            WHERE (w->>'id')::bigint = q.app_password_id
                AND coalesce((w->>'expires_at')::bigint > extract(epoch FROM clock_timestamp()) * 1000000, true))
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
        AS q (tenant_id, account_id, app_password_id, nth)
    LEFT JOIN LATERAL (
        SELECT l.state, l.tenant_state, l.app_passwords FROM restante_login l
        WHERE l.tenant_id = q.tenant_id AND l.account_id = q.account_id LIMIT 1) v ON true
    ORDER BY q.nth";

pub(crate) const TENANTS: &str = "SELECT v.tenant_id, v.name::text, v.storage::text, v.state::text,
        v.default_domain::text, coalesce(v.server_names::text[], '{}'), v.retention_us, v.quota_octets,
        v.quota_messages, coalesce(v.policy::text, '{}')
    FROM restante_tenant v ORDER BY v.name COLLATE \"C\"";

/// Another number whenever something of the view is another.
pub(crate) const REVISION: &str =
    "SELECT ('x' || substr(md5(coalesce(string_agg(v::text, ',' ORDER BY v.tenant_id),
        '')), 1, 15))::bit(60)::bigint
    FROM restante_tenant v";

// What messages refer to is in this server's own tables, under the provider's keys.

/// Tenant, storage. Nothing if it is there already, or if the view has no such tenant.
pub(crate) const KEEP_TENANT: &str =
    "INSERT INTO tenant (tenant_id, name, storage_id, retention_us, quota_octets, quota_messages)
        OVERRIDING SYSTEM VALUE
    SELECT v.tenant_id, 'view-' || v.tenant_id, $2, v.retention_us, v.quota_octets, v.quota_messages
    FROM restante_tenant v WHERE v.tenant_id = $1
    ON CONFLICT (tenant_id) DO NOTHING";

pub(crate) const TENANT_IS_KEPT: &str = "SELECT EXISTS (SELECT 1 FROM tenant WHERE tenant_id = $1)";

/// Tenant, account. Nothing if it is there already.
pub(crate) const KEEP_MAILDROP: &str =
    "INSERT INTO maildrop (maildrop_id, tenant_id) OVERRIDING SYSTEM VALUE VALUES ($2, $1)
    ON CONFLICT (maildrop_id) DO NOTHING";

/// Tenant, account. Only of that tenant.
pub(crate) const MAILDROP_IS_KEPT: &str =
    "SELECT EXISTS (SELECT 1 FROM maildrop WHERE tenant_id = $1 AND maildrop_id = $2)";

/// Tenant, account, quota in octets, quota in messages.
pub(crate) const KEEP_ACCOUNT: &str =
    "INSERT INTO account (account_id, tenant_id, quota_octets, quota_messages) VALUES ($2, $1, $3, $4)
    ON CONFLICT (account_id) DO UPDATE
        SET quota_octets = excluded.quota_octets, quota_messages = excluded.quota_messages";

/// Brings what deliveries and the collector go by up to date.
pub(crate) const FOLLOW_TENANTS: &str = "UPDATE tenant t
    SET retention_us = v.retention_us, quota_octets = v.quota_octets, quota_messages = v.quota_messages
    FROM restante_tenant v
    WHERE v.tenant_id = t.tenant_id AND (t.retention_us, t.quota_octets, t.quota_messages)
        IS DISTINCT FROM (v.retention_us, v.quota_octets, v.quota_messages)
        AND v.retention_us >= 0 AND coalesce(v.quota_octets, 0) >= 0 AND coalesce(v.quota_messages, 0) >= 0";
