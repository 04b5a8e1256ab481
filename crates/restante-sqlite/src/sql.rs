//! All SQL of this crate. A test prepares every statement against a freshly migrated file.

/// Declares the statements and the list that the test goes through, so that none can be left out.
macro_rules! statements {
    ($($(#[doc = $doc:literal])* $name:ident = $sql:literal;)+) => {
        $($(#[doc = $doc])* pub(crate) const $name: &str = $sql;)+

        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

/// How every writing transaction begins: one that starts as a reader fails at once when it meets another writer.
pub(crate) const BEGIN: &str = "BEGIN IMMEDIATE";

statements! {
    ADD_STORAGE = "INSERT INTO storage (name) VALUES (?1) ON CONFLICT (name) DO NOTHING";
    STORAGE_ID = "SELECT storage_id FROM storage WHERE name = ?1";
    STORAGE_NAME = "SELECT name FROM storage WHERE storage_id = ?1";
    NEXT_INCARNATION = "UPDATE incarnation SET value = value + 1 RETURNING value";

    /// Usage and quota of a maildrop that has an account.
    USAGE = "SELECT m.messages, m.octets,
            coalesce(a.quota_messages, t.quota_messages), coalesce(a.quota_octets, t.quota_octets)
        FROM account a
        JOIN maildrop m ON m.maildrop_id = a.account_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        WHERE a.account_id = ?1 AND a.tenant_id = ?2";
    /// Counters, revision and last message of a maildrop that has an account.
    MAILDROP_STATE = "SELECT d.messages, d.octets, d.revision, n.message_id, n.blob
        FROM account a
        JOIN maildrop d ON d.maildrop_id = a.account_id
        LEFT JOIN message n ON n.message_id = (
            SELECT max(m.message_id) FROM message m INDEXED BY message_live
            WHERE m.maildrop_id = a.account_id AND m.deleted_at IS NULL)
            AND n.tenant_id = a.tenant_id
        WHERE a.account_id = ?1 AND a.tenant_id = ?2";
    /// From a key on, so many in one row.
    SNAPSHOT = "SELECT count(*), max(message_id), group_concat(line, char(10) ORDER BY message_id)
        FROM (
            SELECT message_id, concat_ws(' ', message_id, unique_id, octets, header_octets, has_dot_lines,
                needs_utf8, crc64, header_crc64, storage_id, hex(blob)) AS line
            FROM message INDEXED BY message_live
            WHERE maildrop_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL AND message_id >= ?3
            ORDER BY message_id LIMIT ?4)";

    RESERVE = "INSERT INTO pending_blob (tenant_id, blob, maildrop_id, storage_id, reserved_at)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    TAKE_RESERVATION = "DELETE FROM pending_blob
        WHERE tenant_id = ?1 AND blob = ?2 AND maildrop_id = ?3 AND storage_id = ?4";
    USE_UNIQUE_ID = "INSERT INTO unique_id (maildrop_id, unique_id) VALUES (?1, ?2)
        ON CONFLICT (maildrop_id, unique_id) DO NOTHING";
    ADD_MESSAGE = "INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines,
            needs_utf8, crc64, header_crc64, sha256, storage_id, blob, received_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    COUNT_MESSAGE = "UPDATE maildrop SET messages = messages + 1, octets = octets + ?2 WHERE maildrop_id = ?1";
    /// Of the same digest, received after a time.
    RECENT_MESSAGE = "SELECT unique_id FROM recent_message
        WHERE maildrop_id = ?1 AND sha256 = ?2 AND received_at > ?3";
    REMEMBER_MESSAGE = "INSERT INTO recent_message (maildrop_id, sha256, unique_id, received_at)
        VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (maildrop_id, sha256)
            DO UPDATE SET unique_id = excluded.unique_id, received_at = excluded.received_at";
    PRUNE_RECENT_MESSAGES = "DELETE FROM recent_message WHERE (maildrop_id, sha256) IN
        (SELECT maildrop_id, sha256 FROM recent_message WHERE received_at < ?1 LIMIT ?2)";

    UPDATE_OF_SESSION = "SELECT n_deleted FROM update_log WHERE session_id = ?1 AND maildrop_id = ?2";
    LOG_UPDATE = "INSERT INTO update_log (session_id, maildrop_id, token, n_deleted, at)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    /// The decision that a commit never happens, unless it has.
    LOG_NO_UPDATE = "INSERT INTO update_log (session_id, maildrop_id, token, n_deleted, at)
        VALUES (?1, ?2, ?3, NULL, ?4) ON CONFLICT (session_id, maildrop_id) DO NOTHING";
    PRUNE_UPDATE_LOG = "DELETE FROM update_log WHERE (session_id, maildrop_id) IN
        (SELECT session_id, maildrop_id FROM update_log WHERE at < ?1 LIMIT ?2)";
    /// Of a JSON array of keys, what was deleted at a time.
    MEASURE_DELETION = "SELECT count(*), coalesce(sum(octets), 0) FROM message
        WHERE message_id IN (SELECT value FROM json_each(?1))
            AND maildrop_id = ?2 AND tenant_id = ?3 AND deleted_at = ?4";
    /// `?1` is a JSON array of keys.
    /// By the keys alone: left to itself SQLite takes an index of the tenant, and walks over all its messages.
    DELETE_MESSAGES = "UPDATE message NOT INDEXED SET deleted_at = ?4
        WHERE message_id IN (SELECT value FROM json_each(?1))
            AND maildrop_id = ?2 AND tenant_id = ?3 AND deleted_at IS NULL";
    COUNT_DELETION = "UPDATE maildrop
        SET messages = messages - ?2, octets = octets - ?3, revision = revision + 1 WHERE maildrop_id = ?1";

    CONDEMNED = "SELECT tenant_id, blob, storage_id FROM blob_gc LIMIT ?1";
    LEFT_DUE = "SELECT tenant_id, blob, storage_id FROM blob_left WHERE not_before <= ?1 ORDER BY not_before LIMIT ?2";
    FORGET_LEFT = "DELETE FROM blob_left WHERE tenant_id = ?1 AND blob = ?2";
    MESSAGES_DUE = "SELECT m.message_id FROM tenant t CROSS JOIN message m
        WHERE m.tenant_id = t.tenant_id AND m.deleted_at IS NOT NULL AND m.deleted_at < ?1 - t.retention_us
        LIMIT ?2";
    CONDEMN_MESSAGES = "INSERT INTO blob_gc (tenant_id, blob, storage_id)
        SELECT tenant_id, blob, storage_id FROM message
        WHERE message_id IN (SELECT value FROM json_each(?1)) AND deleted_at IS NOT NULL";
    FORGET_MESSAGES = "DELETE FROM message
        WHERE message_id IN (SELECT value FROM json_each(?1)) AND deleted_at IS NOT NULL";
    RESERVATIONS_DUE = "SELECT tenant_id, blob, storage_id FROM pending_blob WHERE reserved_at < ?1
        ORDER BY reserved_at LIMIT ?2";
    CONDEMN_BLOB = "INSERT INTO blob_gc (tenant_id, blob, storage_id) VALUES (?1, ?2, ?3)";
    FORGET_RESERVATION = "DELETE FROM pending_blob WHERE tenant_id = ?1 AND blob = ?2";
    /// Of a tenant, received before a time, at most so many.
    EXPIRED = "SELECT message_id, maildrop_id, octets FROM message INDEXED BY message_age
        WHERE tenant_id = ?1 AND deleted_at IS NULL AND received_at < ?2 ORDER BY received_at LIMIT ?3";
    BURY_MESSAGE = "UPDATE message SET deleted_at = ?2 WHERE message_id = ?1 AND deleted_at IS NULL";
    TOTAL = "SELECT coalesce(sum(messages), 0), coalesce(sum(octets), 0) FROM maildrop";
    STORED = "SELECT message_id, tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, crc64,
            header_crc64, sha256, storage_id, blob, received_at, deleted_at
        FROM message WHERE message_id > ?1 ORDER BY message_id LIMIT ?2";
    /// Of one maildrop: the two halves have an index each.
    STORED_OF_MAILDROP = "SELECT message_id, tenant_id, maildrop_id, unique_id, octets, header_octets,
            has_dot_lines, crc64, header_crc64, sha256, storage_id, blob, received_at, deleted_at
        FROM (
            SELECT * FROM (SELECT * FROM message INDEXED BY message_live
                WHERE maildrop_id = ?3 AND tenant_id = ?4 AND deleted_at IS NULL
                    AND message_id > ?1 ORDER BY message_id LIMIT ?2)
            UNION ALL
            SELECT * FROM (SELECT * FROM message INDEXED BY message_deleted
                WHERE maildrop_id = ?3 AND tenant_id = ?4 AND deleted_at IS NOT NULL
                    AND message_id > ?1 ORDER BY message_id LIMIT ?2))
        ORDER BY message_id LIMIT ?2";
    /// Which of the keys, a list of pairs of tenant and octets in hex, nothing names.
    UNNAMED = "SELECT k.key FROM json_each(?2) k
        WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.tenant_id = k.value ->> 0
                AND m.blob = unhex(k.value ->> 1) AND m.storage_id = ?1)
            AND NOT EXISTS (SELECT 1 FROM pending_blob p WHERE p.tenant_id = k.value ->> 0
                AND p.blob = unhex(k.value ->> 1) AND p.storage_id = ?1)
            AND NOT EXISTS (SELECT 1 FROM blob_left l WHERE l.tenant_id = k.value ->> 0
                AND l.blob = unhex(k.value ->> 1) AND l.storage_id = ?1)
            AND NOT EXISTS (SELECT 1 FROM blob_gc g WHERE g.tenant_id = k.value ->> 0
                AND g.blob = unhex(k.value ->> 1) AND g.storage_id = ?1)
        ORDER BY k.key";
    COLLECTION_STOPPED = "SELECT collection_stopped_at FROM installation";
    STOP_COLLECTION = "UPDATE installation
        SET collection_stopped_at = CASE WHEN ?1 THEN coalesce(collection_stopped_at, ?2) END";
    RESTORE = "UPDATE message SET deleted_at = NULL
        WHERE message_id = ?1 AND maildrop_id = ?2 AND tenant_id = ?3 AND deleted_at IS NOT NULL
        RETURNING octets";
    /// Something was changed otherwise than by a delivery.
    REVISE = "UPDATE maildrop SET revision = revision + 1 WHERE maildrop_id = ?1";
    RELOCATE = "UPDATE message SET storage_id = ?6, blob = ?7
        WHERE message_id = ?1 AND tenant_id = ?2 AND maildrop_id = ?3 AND storage_id = ?4 AND blob = ?5";
    LEAVE_BLOB = "INSERT INTO blob_left (tenant_id, blob, storage_id, not_before) VALUES (?1, ?2, ?3, ?4)";
    COLLECTED = "DELETE FROM blob_gc WHERE tenant_id = ?1 AND blob = ?2 AND storage_id = ?3";

    INSTALLATION_SECRET = "SELECT secret FROM installation";
    /// How often changed what a server keeps in memory, and what it asks about.
    REVISIONS = "SELECT roster_revision, standing_revision FROM installation";

    TENANT = "SELECT t.tenant_id, t.name, s.name, t.state, t.default_domain,
            (SELECT json_group_array(v.name ORDER BY v.name) FROM server_name v WHERE v.tenant_id = t.tenant_id),
            t.retention_us, t.quota_octets, t.quota_messages, t.policy
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id
        WHERE t.name = ?1 AND t.removed_at IS NULL AND (?2 IS NULL OR t.tenant_id = ?2)";
    TENANTS = "SELECT t.tenant_id, t.name, s.name, t.state, t.default_domain,
            (SELECT json_group_array(v.name ORDER BY v.name) FROM server_name v WHERE v.tenant_id = t.tenant_id),
            t.retention_us, t.quota_octets, t.quota_messages, t.policy
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id
        WHERE t.name > ?1 AND t.removed_at IS NULL AND (?3 IS NULL OR t.tenant_id = ?3)
        ORDER BY t.name LIMIT ?2";
    ADD_TENANT = "INSERT INTO tenant (name, storage_id, retention_us) VALUES (?1, ?2, ?3)";
    SET_TENANT = "UPDATE tenant SET storage_id = ?2, state = ?3, default_domain = ?4, retention_us = ?5,
            quota_octets = ?6, quota_messages = ?7
        WHERE tenant_id = ?1";
    SET_POLICY = "UPDATE tenant SET policy = ?2 WHERE tenant_id = ?1";
    TENANT_HAS_DOMAINS = "SELECT EXISTS (SELECT 1 FROM domain WHERE tenant_id = ?1)";
    REMOVE_TENANT = "UPDATE tenant SET removed_at = ?2, policy = '{}', default_domain = NULL WHERE tenant_id = ?1";
    REMOVE_CERTIFICATES = "DELETE FROM certificate WHERE tenant_id = ?1";
    REMOVE_SERVER_NAMES = "DELETE FROM server_name WHERE tenant_id = ?1";
    SERVER_NAME_IS_TAKEN = "SELECT EXISTS (SELECT 1 FROM server_name WHERE name = ?1)";
    ADD_SERVER_NAME = "INSERT INTO server_name (tenant_id, name) VALUES (?1, ?2)";
    SERVER_NAME_IS_SERVED = "SELECT EXISTS (SELECT 1 FROM certificate_name WHERE tenant_id = ?1 AND name = ?2)";
    REMOVE_SERVER_NAME = "DELETE FROM server_name WHERE tenant_id = ?1 AND name = ?2";

    DOMAIN = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id
        WHERE d.name = ?1 AND (?2 IS NULL OR d.tenant_id = ?2)";
    DOMAINS = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id
        WHERE d.name > ?1 AND (?3 IS NULL OR d.tenant_id = ?3) ORDER BY d.name LIMIT ?2";
    ADD_DOMAIN = "INSERT INTO domain (tenant_id, name) VALUES (?1, ?2)";
    DOMAIN_HAS_ADDRESSES = "SELECT EXISTS (SELECT 1 FROM account WHERE domain_id = ?1)
        OR EXISTS (SELECT 1 FROM alias WHERE domain_id = ?1)";
    DOMAIN_IS_DEFAULT = "SELECT EXISTS (SELECT 1 FROM tenant WHERE tenant_id = ?1 AND default_domain = ?2)";
    MOVE_DOMAIN = "UPDATE domain SET tenant_id = ?2 WHERE domain_id = ?1";
    REMOVE_DOMAIN = "DELETE FROM domain WHERE domain_id = ?1";

    /// The account and what verifies its login, by its name or by an alias that may log in.
    CREDENTIALS = "SELECT p.address, a.tenant_id, a.account_id, a.name, a.state, t.state, a.quota_octets,
            a.quota_messages, s.name, a.password, a.scram, a.credential_version, t.policy,
            (SELECT json_group_array(json_object('id', w.app_password_id, 'verifier', w.verifier, 'scope', w.scope,
                    'networks', json(w.networks), 'expires_at', w.expires_at, 'last_used_at', w.last_used_at))
                FROM app_password w WHERE w.account_id = a.account_id AND w.tenant_id = a.tenant_id)
        FROM (SELECT name AS address, account_id FROM account WHERE name = ?1
            UNION ALL SELECT address, account_id FROM alias WHERE address = ?1 AND may_log_in = 1) p
        JOIN account a ON a.account_id = p.account_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id";
    RECIPIENT = "SELECT p.address, a.tenant_id, a.account_id, a.name, a.state, t.state, a.quota_octets, a.quota_messages, s.name
        FROM (SELECT name AS address, account_id FROM account WHERE name = ?1
            UNION ALL SELECT address, account_id FROM alias WHERE address = ?1) p
        JOIN account a ON a.account_id = p.account_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id";
    /// Account, tenant, now, delay, the latest that a login may be expected at. By the generic cell rate algorithm:
    /// changes nothing if the next login is expected later than that.
    KEEP_PACE = "INSERT INTO login_pace (account_id, expected_at)
        SELECT account_id, ?3 + ?4 FROM account WHERE account_id = ?1 AND tenant_id = ?2
        ON CONFLICT (account_id) DO UPDATE SET expected_at = max(login_pace.expected_at, ?3) + ?4
            WHERE login_pace.expected_at <= ?5";
    NOTE_LAST_USE = "UPDATE app_password SET last_used_at = ?4
        WHERE app_password_id = ?1 AND account_id = ?2 AND tenant_id = ?3";
    /// Account, tenant, version, hash, SCRAM keys.
    UPGRADE = "UPDATE account SET password = ?4, scram = ?5, credential_version = credential_version + 1
        WHERE account_id = ?1 AND tenant_id = ?2 AND credential_version = ?3 RETURNING name";
    /// `?1` is a JSON array of `[tenant, account, application password or null]`.
    STANDING = "SELECT a.state, t.state,
            json_extract(q.value, '$[2]') IS NULL OR EXISTS (
                SELECT 1 FROM app_password w
                WHERE w.app_password_id = json_extract(q.value, '$[2]')
                    AND w.account_id = json_extract(q.value, '$[1]')
                    AND (w.expires_at IS NULL OR w.expires_at > ?2))
        FROM json_each(?1) q
        LEFT JOIN account a ON a.account_id = json_extract(q.value, '$[1]')
            AND a.tenant_id = json_extract(q.value, '$[0]')
        LEFT JOIN tenant t ON t.tenant_id = a.tenant_id
        ORDER BY q.key";

    /// An account by its own name.
    ACCOUNT = "SELECT a.tenant_id, a.account_id, a.name, a.state, t.state, a.quota_octets, a.quota_messages, s.name
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name = ?1 AND (?2 IS NULL OR a.tenant_id = ?2)";
    ACCOUNTS = "SELECT a.tenant_id, a.account_id, a.name, a.state, t.state, a.quota_octets, a.quota_messages, s.name
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name > ?1 AND (?3 IS NULL OR a.tenant_id = ?3) ORDER BY a.name LIMIT ?2";
    ACCOUNTS_OF_DOMAIN = "SELECT a.tenant_id, a.account_id, a.name, a.state, t.state, a.quota_octets,
            a.quota_messages, s.name
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name > ?1 AND a.domain_id = ?3 ORDER BY a.name LIMIT ?2";
    ADDRESS_IS_TAKEN = "SELECT EXISTS (SELECT 1 FROM account WHERE name = ?1)
        OR EXISTS (SELECT 1 FROM alias WHERE address = ?1)";
    ADD_MAILDROP = "INSERT INTO maildrop (tenant_id) VALUES (?1) RETURNING maildrop_id";
    ADD_ACCOUNT = "INSERT INTO account (account_id, tenant_id, domain_id, domain_name, local_part, password, scram,
            quota_octets, quota_messages)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    RENAME_ACCOUNT = "UPDATE account SET domain_id = ?2, domain_name = ?3, local_part = ?4 WHERE account_id = ?1";
    SET_ACCOUNT = "UPDATE account SET state = ?2, quota_octets = ?3, quota_messages = ?4 WHERE account_id = ?1";
    SET_PASSWORD = "UPDATE account SET password = ?2, scram = ?3, credential_version = credential_version + 1
        WHERE account_id = ?1";
    REMOVE_ACCOUNT = "DELETE FROM account WHERE account_id = ?1";
    BURY_MESSAGES = "UPDATE message SET deleted_at = ?2 WHERE maildrop_id = ?1 AND deleted_at IS NULL";
    EMPTY_MAILDROP = "UPDATE maildrop SET messages = 0, octets = 0, revision = revision + 1 WHERE maildrop_id = ?1";
    FORGET_UNIQUE_IDS = "DELETE FROM unique_id WHERE maildrop_id = ?1";

    /// After an address, at most so many; of an account, of a domain, of a tenant, or of all.
    ALIASES = "SELECT p.address, a.name, p.may_log_in
        FROM alias p JOIN account a ON a.account_id = p.account_id
        WHERE p.address > ?1 AND (?3 IS NULL OR p.account_id = ?3) AND (?4 IS NULL OR p.domain_id = ?4)
            AND (?5 IS NULL OR p.tenant_id = ?5)
        ORDER BY p.address LIMIT ?2";
    ADD_ALIAS = "INSERT INTO alias (address, tenant_id, account_id, domain_id, domain_name, local_part, may_log_in)
        VALUES (?5 || '@' || ?4, ?1, ?2, ?3, ?4, ?5, ?6)";
    REMOVE_ALIAS = "DELETE FROM alias WHERE address = ?1 AND (?2 IS NULL OR tenant_id = ?2)
        RETURNING tenant_id, account_id";

    COUNT_APP_PASSWORDS = "SELECT count(*) FROM app_password WHERE account_id = ?1";
    ADD_APP_PASSWORD = "INSERT INTO app_password (tenant_id, account_id, label, verifier, scope, networks, created_at,
            expires_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
        RETURNING app_password_id, label, scope, networks, created_at, expires_at, last_used_at";
    APP_PASSWORDS = "SELECT app_password_id, label, scope, networks, created_at, expires_at, last_used_at
        FROM app_password WHERE account_id = ?1 ORDER BY app_password_id";
    REMOVE_APP_PASSWORD = "DELETE FROM app_password WHERE app_password_id = ?1 AND account_id = ?2";

    ADD_CERTIFICATE = "INSERT INTO certificate (tenant_id, chain, sealed_key, not_after) VALUES (?1, ?2, ?3, ?4)
        RETURNING certificate_id";
    /// `?3` is a JSON array of names.
    ADD_CERTIFICATE_NAMES = "INSERT INTO certificate_name (certificate_id, tenant_id, name)
        SELECT ?1, ?2, value FROM json_each(?3)";
    CERTIFICATES = "SELECT c.certificate_id, c.tenant_id,
            (SELECT json_group_array(m.name ORDER BY m.name) FROM certificate_name m
                WHERE m.certificate_id = c.certificate_id),
            c.chain, c.sealed_key, c.not_after
        FROM certificate c WHERE ?1 IS NULL OR c.tenant_id = ?1 ORDER BY c.certificate_id";
    REMOVE_CERTIFICATE = "DELETE FROM certificate WHERE certificate_id = ?1 AND tenant_id = ?2";

    /// `?1` is a JSON array of rows.
    RECORD = "INSERT INTO audit (at, actor, action, tenant_id, account_id, session_id, client, detail)
        SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, unhex(value ->> 5), value ->> 6,
            value ->> 7
        FROM json_each(?1) ORDER BY key";
    /// Of a tenant, of an account, of a kind, before a key, at most so many.
    AUDIT = "SELECT audit_id, at, actor, action, tenant_id, account_id, session_id, client, detail
        FROM audit
        WHERE (?1 IS NULL OR tenant_id = ?1) AND (?2 IS NULL OR account_id = ?2)
            AND (?3 IS NULL OR action = ?3) AND audit_id < ?4
        ORDER BY audit_id DESC LIMIT ?5";
    AUDIT_OF_TENANT = "SELECT audit_id, at, actor, action, tenant_id, account_id, session_id, client, detail
        FROM audit
        WHERE tenant_id = ?1 AND (?2 IS NULL OR account_id = ?2) AND (?3 IS NULL OR action = ?3)
            AND audit_id < ?4
        ORDER BY audit_id DESC LIMIT ?5";
    AUDIT_OF_ACCOUNT = "SELECT audit_id, at, actor, action, tenant_id, account_id, session_id, client, detail
        FROM audit
        WHERE account_id = ?2 AND (?1 IS NULL OR tenant_id = ?1) AND (?3 IS NULL OR action = ?3)
            AND audit_id < ?4
        ORDER BY audit_id DESC LIMIT ?5";

    PLUGINS = "SELECT p.name, p.is_enabled, p.component, length(c.octets), p.previous, p.installed_at
        FROM plugin p JOIN plugin_component c ON c.sha256 = p.component
        ORDER BY p.name";
    COMPONENT = "SELECT octets FROM plugin_component WHERE sha256 = ?1";
    ADD_COMPONENT = "INSERT INTO plugin_component (sha256, octets) VALUES (?1, ?2) ON CONFLICT (sha256) DO NOTHING";
    INSTALL_PLUGIN = "INSERT INTO plugin (name, component, installed_at) VALUES (?1, ?2, ?3)
        ON CONFLICT (name) DO UPDATE SET component = excluded.component, installed_at = excluded.installed_at,
            previous = CASE WHEN component = excluded.component THEN previous ELSE component END";
    ENABLE_PLUGIN = "UPDATE plugin SET is_enabled = ?2 WHERE name = ?1";
    ROLL_BACK_PLUGIN = "UPDATE plugin SET component = previous, previous = component, installed_at = ?2
        WHERE name = ?1 AND previous IS NOT NULL";
    REMOVE_PLUGIN = "DELETE FROM plugin WHERE name = ?1";
    FORGET_COMPONENTS = "DELETE FROM plugin_component WHERE sha256 NOT IN
        (SELECT component FROM plugin UNION SELECT previous FROM plugin WHERE previous IS NOT NULL)";

    PLUGIN_VALUE = "SELECT value FROM plugin_value WHERE storage = ?1 AND tenant_id = ?2 AND key = ?3";
    SET_PLUGIN_VALUE = "INSERT INTO plugin_value (storage, tenant_id, key, value) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (storage, tenant_id, key) DO UPDATE SET value = excluded.value";
    ADD_PLUGIN_VALUE = "INSERT INTO plugin_value (storage, tenant_id, key, value) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (storage, tenant_id, key) DO NOTHING";
    CHANGE_PLUGIN_VALUE = "UPDATE plugin_value SET value = ?5
        WHERE storage = ?1 AND tenant_id = ?2 AND key = ?3 AND value = ?4";
    DELETE_PLUGIN_VALUE = "DELETE FROM plugin_value WHERE storage = ?1 AND tenant_id = ?2 AND key = ?3";
    PLUGIN_KEYS = "SELECT key FROM plugin_value
        WHERE storage = ?1 AND tenant_id = ?2 AND key >= ?3 AND key > ?4 AND substr(key, 1, length(?3)) = ?3
        ORDER BY key LIMIT ?5";
}
