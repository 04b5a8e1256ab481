//! The statements of the directory.

statements! {
    /// Confines the rest of the transaction to one tenant (row-level security).
    CONFINE = "SELECT set_config('restante.tenant', $1, true)";
    INSTALLATION_SECRET = "SELECT secret FROM installation";

    /// An account and what verifies its login, by one of its addresses.
    CREDENTIALS = "SELECT p.address, a.tenant_id, a.account_id, n.address, a.state, t.state, a.quota_octets,
            a.quota_messages, s.name, a.password, a.scram, a.credential_version,
            coalesce(l.document::text, '{}'),
            (SELECT json_agg(json_build_object('id', w.app_password_id, 'verifier', w.verifier, 'scope', w.scope,
                    'networks', w.networks,
                    'expires_at', (extract(epoch FROM w.expires_at) * 1000000)::bigint,
                    'last_used_at', (extract(epoch FROM w.last_used_at) * 1000000)::bigint))::text
                FROM app_password w WHERE w.account_id = a.account_id AND w.tenant_id = a.tenant_id)
        FROM address p
        JOIN account a ON a.account_id = p.account_id AND a.tenant_id = p.tenant_id
        JOIN address n ON n.account_id = a.account_id AND NOT n.is_alias
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        LEFT JOIN policy l ON l.tenant_id = a.tenant_id
        WHERE p.address = $1 AND p.may_log_in";
    RECIPIENT = "SELECT p.address, a.tenant_id, a.account_id, n.address, a.state, t.state, a.quota_octets, a.quota_messages, s.name
        FROM address p
        JOIN account a ON a.account_id = p.account_id AND a.tenant_id = p.tenant_id
        JOIN address n ON n.account_id = a.account_id AND NOT n.is_alias
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE p.address = $1";
    /// Tenant, account, delay in microseconds, burst, application password. By the generic cell rate algorithm: a
    /// login is admitted if the time it was expected at is at most burst - 1 delays ahead.
    NOTE_LOGIN = "WITH pace AS (
            INSERT INTO login_pace AS l (tenant_id, account_id, expected_at)
            SELECT $1, $2, clock_timestamp() + $3 * interval '1 microsecond' WHERE $3 > 0
            ON CONFLICT (tenant_id, account_id) DO UPDATE
                SET expected_at = greatest(l.expected_at, clock_timestamp()) + $3 * interval '1 microsecond'
                WHERE l.expected_at <= clock_timestamp() + ($4 - 1) * $3 * interval '1 microsecond'
            RETURNING 1),
        used AS (
            UPDATE app_password SET last_used_at = clock_timestamp()
            WHERE app_password_id = $5 AND account_id = $2 AND tenant_id = $1
                AND ($3 = 0 OR EXISTS (SELECT 1 FROM pace)))
        SELECT $3 = 0 OR EXISTS (SELECT 1 FROM pace)";
    /// Tenant, account, version, hash, SCRAM keys, actor.
    UPGRADE = "WITH changed AS (
            UPDATE account SET password = $4, scram = $5, credential_version = credential_version + 1
            WHERE account_id = $2 AND tenant_id = $1 AND credential_version = $3 RETURNING account_id),
        noted AS (
            INSERT INTO audit (at, actor, action, tenant_id, account_id, detail)
            SELECT clock_timestamp(), $6, 'password-rehashed', $1, n.account_id, n.address
            FROM changed c JOIN address n ON n.account_id = c.account_id AND NOT n.is_alias)
        SELECT EXISTS (SELECT 1 FROM changed)";
    STANDING = "SELECT a.state, t.state,
            q.app_password_id IS NULL OR EXISTS (
                SELECT 1 FROM app_password w
                WHERE w.app_password_id = q.app_password_id AND w.account_id = q.account_id
                    AND (w.expires_at IS NULL OR w.expires_at > clock_timestamp()))
        FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY
            AS q (tenant_id, account_id, app_password_id, nth)
        LEFT JOIN account a ON a.account_id = q.account_id AND a.tenant_id = q.tenant_id
        LEFT JOIN tenant t ON t.tenant_id = a.tenant_id
        ORDER BY q.nth";
    REVISION = "SELECT revision FROM roster_revision";
    /// So that all statements of the transaction see the same.
    ONE_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
    ALL_TENANTS = "SELECT t.tenant_id, t.name, s.name, t.state, t.default_domain,
            ARRAY(SELECT v.name FROM server_name v WHERE v.tenant_id = t.tenant_id ORDER BY v.name),
            t.retention_us, t.quota_octets, t.quota_messages, coalesce(l.document::text, '{}')
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id LEFT JOIN policy l ON l.tenant_id = t.tenant_id
        WHERE t.removed_at IS NULL ORDER BY t.name";
    RECORD = "INSERT INTO audit (at, actor, action, tenant_id, account_id, session_id, client, detail)
        SELECT to_timestamp(0) + r.at * interval '1 microsecond', r.actor, r.action, r.tenant_id, r.account_id,
            r.session_id, r.client::inet, r.detail
        FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::text[],
            $8::text[]) AS r (at, actor, action, tenant_id, account_id, session_id, client, detail)";

    AUDIT_ACT = "INSERT INTO audit (at, actor, action, tenant_id, account_id, detail)
        VALUES (clock_timestamp(), $1, $2, $3, $4, $5)";

    TENANT = "SELECT t.tenant_id, t.name, s.name, t.state, t.default_domain,
            ARRAY(SELECT v.name FROM server_name v WHERE v.tenant_id = t.tenant_id ORDER BY v.name),
            t.retention_us, t.quota_octets, t.quota_messages, coalesce(l.document::text, '{}')
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id LEFT JOIN policy l ON l.tenant_id = t.tenant_id
        WHERE t.name = $1 AND t.removed_at IS NULL";
    TENANTS = "SELECT t.tenant_id, t.name, s.name, t.state, t.default_domain,
            ARRAY(SELECT v.name FROM server_name v WHERE v.tenant_id = t.tenant_id ORDER BY v.name),
            t.retention_us, t.quota_octets, t.quota_messages, coalesce(l.document::text, '{}')
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id LEFT JOIN policy l ON l.tenant_id = t.tenant_id
        WHERE t.name > $1 AND t.removed_at IS NULL ORDER BY t.name LIMIT $2";
    ADD_TENANT = "INSERT INTO tenant (name, storage_id, retention_us) VALUES ($1, $2, $3)";
    SET_TENANT = "UPDATE tenant SET storage_id = $2, state = $3, default_domain = $4, retention_us = $5,
            quota_octets = $6, quota_messages = $7
        WHERE tenant_id = $1";
    SET_POLICY = "INSERT INTO policy (tenant_id, document) VALUES ($1, $2::jsonb)
        ON CONFLICT (tenant_id) DO UPDATE SET document = excluded.document";
    TENANT_HAS_DOMAINS = "SELECT EXISTS (SELECT 1 FROM domain WHERE tenant_id = $1)";
    REMOVE_TENANT = "UPDATE tenant SET removed_at = clock_timestamp(), default_domain = NULL WHERE tenant_id = $1";
    REMOVE_POLICY = "DELETE FROM policy WHERE tenant_id = $1";
    REMOVE_CERTIFICATES = "DELETE FROM certificate WHERE tenant_id = $1";
    REMOVE_SERVER_NAMES = "DELETE FROM server_name WHERE tenant_id = $1";
    ADD_SERVER_NAME = "INSERT INTO server_name (tenant_id, name) VALUES ($1, $2)";
    SERVER_NAME_IS_USED = "SELECT EXISTS (SELECT 1 FROM certificate_name WHERE tenant_id = $1 AND name = $2)";
    REMOVE_SERVER_NAME = "DELETE FROM server_name WHERE tenant_id = $1 AND name = $2";

    DOMAIN = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id WHERE d.name = $1";
    DOMAINS = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id
        WHERE d.name > $1 ORDER BY d.name LIMIT $2";
    DOMAINS_OF_TENANT = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id
        WHERE d.name > $1 AND d.tenant_id = $3 ORDER BY d.name LIMIT $2";
    ADD_DOMAIN = "INSERT INTO domain (tenant_id, name) VALUES ($1, $2)";
    DOMAIN_HAS_ADDRESSES = "SELECT EXISTS (SELECT 1 FROM address WHERE domain_id = $1)";
    DOMAIN_IS_DEFAULT = "SELECT EXISTS (SELECT 1 FROM tenant WHERE tenant_id = $1 AND default_domain = $2)";
    MOVE_DOMAIN = "UPDATE domain SET tenant_id = $2 WHERE domain_id = $1";
    REMOVE_DOMAIN = "DELETE FROM domain WHERE domain_id = $1";

    /// An account by its own name.
    ACCOUNT = "SELECT a.tenant_id, a.account_id, n.address, a.state, t.state, a.quota_octets, a.quota_messages, s.name
        FROM address n
        JOIN account a ON a.account_id = n.account_id AND a.tenant_id = n.tenant_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE n.address = $1 AND NOT n.is_alias";
    ACCOUNTS = "SELECT a.tenant_id, a.account_id, n.address, a.state, t.state, a.quota_octets, a.quota_messages, s.name
        FROM address n
        JOIN account a ON a.account_id = n.account_id AND a.tenant_id = n.tenant_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE n.address > $1 AND NOT n.is_alias ORDER BY n.address LIMIT $2";
    ACCOUNTS_OF_DOMAIN = "SELECT a.tenant_id, a.account_id, n.address, a.state, t.state, a.quota_octets,
            a.quota_messages, s.name
        FROM address n
        JOIN account a ON a.account_id = n.account_id AND a.tenant_id = n.tenant_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE n.address > $1 AND n.domain_id = $3 AND NOT n.is_alias ORDER BY n.address LIMIT $2";
    ACCOUNTS_OF_TENANT = "SELECT a.tenant_id, a.account_id, n.address, a.state, t.state, a.quota_octets,
            a.quota_messages, s.name
        FROM address n
        JOIN account a ON a.account_id = n.account_id AND a.tenant_id = n.tenant_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE n.address > $1 AND n.tenant_id = $3 AND NOT n.is_alias ORDER BY n.address LIMIT $2";
    ADDRESS_IS_TAKEN = "SELECT EXISTS (SELECT 1 FROM address WHERE address = $1)";
    ADD_MAILDROP = "INSERT INTO maildrop (tenant_id) VALUES ($1) RETURNING maildrop_id";
    ADD_ACCOUNT = "INSERT INTO account (account_id, tenant_id, password, scram, quota_octets, quota_messages)
        VALUES ($1, $2, $3, $4, $5, $6)";
    ADD_ADDRESS = "INSERT INTO address (address, tenant_id, account_id, domain_id, domain_name, local_part, is_alias,
            may_log_in)
        VALUES ($5 || '@' || $4, $1, $2, $3, $4, $5, $6, $7)";
    RENAME_ACCOUNT = "UPDATE address SET address = $4 || '@' || $3, domain_id = $2, domain_name = $3, local_part = $4
        WHERE account_id = $1 AND NOT is_alias";
    SET_ACCOUNT = "UPDATE account SET state = $2, quota_octets = $3, quota_messages = $4 WHERE account_id = $1";
    SET_PASSWORD = "UPDATE account SET password = $2, scram = $3, credential_version = credential_version + 1
        WHERE account_id = $1";
    REMOVE_ACCOUNT = "DELETE FROM account WHERE account_id = $1";
    FORGET_PACE = "DELETE FROM login_pace WHERE account_id = $1";
    BURY_MESSAGES = "UPDATE message SET deleted_at = clock_timestamp() WHERE maildrop_id = $1 AND deleted_at IS NULL";
    EMPTY_MAILDROP = "UPDATE maildrop SET messages = 0, octets = 0 WHERE maildrop_id = $1";
    FORGET_UNIQUE_IDS = "DELETE FROM unique_id WHERE maildrop_id = $1";

    ALIAS = "SELECT p.address, n.address, p.may_log_in, p.tenant_id, p.account_id
        FROM address p JOIN address n ON n.account_id = p.account_id AND NOT n.is_alias
        WHERE p.address = $1 AND p.is_alias";
    ALIASES = "SELECT p.address, n.address, p.may_log_in, p.tenant_id, p.account_id
        FROM address p JOIN address n ON n.account_id = p.account_id AND NOT n.is_alias
        WHERE p.address > $1 AND p.is_alias ORDER BY p.address LIMIT $2";
    /// After an address, at most so many, account, domain or none.
    ALIASES_OF_ACCOUNT = "SELECT p.address, n.address, p.may_log_in, p.tenant_id, p.account_id
        FROM address p JOIN address n ON n.account_id = p.account_id AND NOT n.is_alias
        WHERE p.address > $1 AND p.is_alias AND p.account_id = $3 AND ($4::bigint IS NULL OR p.domain_id = $4)
        ORDER BY p.address LIMIT $2";
    ALIASES_OF_DOMAIN = "SELECT p.address, n.address, p.may_log_in, p.tenant_id, p.account_id
        FROM address p JOIN address n ON n.account_id = p.account_id AND NOT n.is_alias
        WHERE p.address > $1 AND p.is_alias AND p.domain_id = $3 ORDER BY p.address LIMIT $2";
    REMOVE_ALIAS = "DELETE FROM address WHERE address = $1 AND is_alias";

    LOCK_ACCOUNT = "SELECT account_id FROM account WHERE account_id = $1 FOR NO KEY UPDATE";
    COUNT_APP_PASSWORDS = "SELECT count(*) FROM app_password WHERE account_id = $1";
    ADD_APP_PASSWORD = "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, to_timestamp(0) + $7 * interval '1 microsecond')
        RETURNING app_password_id, label, scope, networks, (extract(epoch FROM created_at) * 1000000)::bigint,
            (extract(epoch FROM expires_at) * 1000000)::bigint, (extract(epoch FROM last_used_at) * 1000000)::bigint";
    APP_PASSWORDS = "SELECT app_password_id, label, scope, networks, (extract(epoch FROM created_at) * 1000000)::bigint,
            (extract(epoch FROM expires_at) * 1000000)::bigint, (extract(epoch FROM last_used_at) * 1000000)::bigint
        FROM app_password WHERE account_id = $1 ORDER BY app_password_id";
    REMOVE_APP_PASSWORD = "DELETE FROM app_password WHERE app_password_id = $1 AND account_id = $2";

    ADD_CERTIFICATE = "INSERT INTO certificate (tenant_id, chain, sealed_key, not_after)
        VALUES ($1, $2, $3, to_timestamp(0) + $4 * interval '1 microsecond') RETURNING certificate_id";
    ADD_CERTIFICATE_NAMES = "INSERT INTO certificate_name (certificate_id, tenant_id, name)
        SELECT $1, $2, unnest($3::text[])";
    CERTIFICATES = "SELECT c.certificate_id, c.tenant_id,
            ARRAY(SELECT m.name FROM certificate_name m WHERE m.certificate_id = c.certificate_id ORDER BY m.name),
            c.chain, c.sealed_key, (extract(epoch FROM c.not_after) * 1000000)::bigint
        FROM certificate c WHERE $1::bigint IS NULL OR c.tenant_id = $1 ORDER BY c.certificate_id";
    REMOVE_CERTIFICATE = "DELETE FROM certificate WHERE certificate_id = $1 AND tenant_id = $2";

    /// Of a kind, before a key, at most so many.
    AUDIT = "SELECT audit_id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, tenant_id, account_id,
            session_id, host(client), detail
        FROM audit
        WHERE $1::bigint IS NULL AND $2::bigint IS NULL AND ($3::text IS NULL OR action = $3) AND audit_id < $4
        ORDER BY audit_id DESC LIMIT $5";
    AUDIT_OF_TENANT = "SELECT audit_id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, tenant_id,
            account_id, session_id, host(client), detail
        FROM audit
        WHERE tenant_id = $1 AND $2::bigint IS NULL AND ($3::text IS NULL OR action = $3) AND audit_id < $4
        ORDER BY audit_id DESC LIMIT $5";
    AUDIT_OF_ACCOUNT = "SELECT audit_id, (extract(epoch FROM at) * 1000000)::bigint, actor, action, tenant_id,
            account_id, session_id, host(client), detail
        FROM audit
        WHERE ($1::bigint IS NULL OR tenant_id = $1) AND account_id = $2 AND ($3::text IS NULL OR action = $3)
            AND audit_id < $4
        ORDER BY audit_id DESC LIMIT $5";
}
