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
    SNAPSHOT = "SELECT message_id, unique_id, octets, header_octets, has_dot_lines, needs_utf8, crc64,
            header_crc64, storage_id, blob
        FROM message INDEXED BY message_live
        WHERE maildrop_id = ?1 AND tenant_id = ?2 AND deleted_at IS NULL
        ORDER BY message_id";

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

    UPDATE_OF_SESSION = "SELECT n_deleted FROM update_log WHERE session_id = ?1 AND maildrop_id = ?2";
    LOG_UPDATE = "INSERT INTO update_log (session_id, maildrop_id, token, n_deleted, at)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    /// The decision that a commit never happens, unless it has.
    LOG_NO_UPDATE = "INSERT INTO update_log (session_id, maildrop_id, token, n_deleted, at)
        VALUES (?1, ?2, ?3, NULL, ?4) ON CONFLICT (session_id, maildrop_id) DO NOTHING";
    PRUNE_UPDATE_LOG = "DELETE FROM update_log WHERE (session_id, maildrop_id) IN
        (SELECT session_id, maildrop_id FROM update_log WHERE at < ?1 LIMIT 100)";
    /// `?1` is a JSON array of keys.
    MEASURE_DELETION = "SELECT count(*), coalesce(sum(octets), 0) FROM message
        WHERE message_id IN (SELECT value FROM json_each(?1))
            AND maildrop_id = ?2 AND tenant_id = ?3 AND deleted_at IS NULL";
    DELETE_MESSAGES = "UPDATE message SET deleted_at = ?4
        WHERE message_id IN (SELECT value FROM json_each(?1))
            AND maildrop_id = ?2 AND tenant_id = ?3 AND deleted_at IS NULL";
    COUNT_DELETION = "UPDATE maildrop SET messages = messages - ?2, octets = octets - ?3 WHERE maildrop_id = ?1";

    CONDEMNED = "SELECT tenant_id, blob, storage_id FROM blob_gc LIMIT ?1";
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
    COLLECTED = "DELETE FROM blob_gc WHERE tenant_id = ?1 AND blob = ?2 AND storage_id = ?3";

    TENANT = "SELECT t.tenant_id, t.name, s.name, t.retention_us, t.quota_octets, t.quota_messages
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id
        WHERE t.name = ?1 AND t.removed_at IS NULL";
    TENANTS = "SELECT t.tenant_id, t.name, s.name, t.retention_us, t.quota_octets, t.quota_messages
        FROM tenant t JOIN storage s ON s.storage_id = t.storage_id
        WHERE t.name > ?1 AND t.removed_at IS NULL ORDER BY t.name LIMIT ?2";
    ADD_TENANT = "INSERT INTO tenant (name, storage_id, retention_us) VALUES (?1, ?2, ?3)";
    SET_TENANT = "UPDATE tenant SET storage_id = ?2, retention_us = ?3, quota_octets = ?4, quota_messages = ?5
        WHERE tenant_id = ?1";
    TENANT_HAS_DOMAINS = "SELECT EXISTS (SELECT 1 FROM domain WHERE tenant_id = ?1)";
    REMOVE_TENANT = "UPDATE tenant SET removed_at = ?2 WHERE tenant_id = ?1";

    DOMAIN = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id WHERE d.name = ?1";
    DOMAINS = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id
        WHERE d.name > ?1 ORDER BY d.name LIMIT ?2";
    DOMAINS_OF_TENANT = "SELECT d.domain_id, d.tenant_id, t.name, d.name
        FROM domain d JOIN tenant t ON t.tenant_id = d.tenant_id
        WHERE d.name > ?1 AND d.tenant_id = ?3 ORDER BY d.name LIMIT ?2";
    ADD_DOMAIN = "INSERT INTO domain (tenant_id, name) VALUES (?1, ?2)";
    DOMAIN_HAS_ACCOUNTS = "SELECT EXISTS (SELECT 1 FROM account WHERE domain_id = ?1)";
    MOVE_DOMAIN = "UPDATE domain SET tenant_id = ?2 WHERE domain_id = ?1";
    REMOVE_DOMAIN = "DELETE FROM domain WHERE domain_id = ?1";

    /// The account and what verifies its login.
    CREDENTIALS = "SELECT a.tenant_id, a.account_id, a.name, a.state, a.quota_octets, a.quota_messages, s.name,
            a.password, a.credential_version
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name = ?1";
    ACCOUNT = "SELECT a.tenant_id, a.account_id, a.name, a.state, a.quota_octets, a.quota_messages, s.name
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name = ?1";
    ACCOUNTS = "SELECT a.tenant_id, a.account_id, a.name, a.state, a.quota_octets, a.quota_messages, s.name
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name > ?1 ORDER BY a.name LIMIT ?2";
    ACCOUNTS_OF_DOMAIN = "SELECT a.tenant_id, a.account_id, a.name, a.state, a.quota_octets, a.quota_messages, s.name
        FROM account a
        JOIN tenant t ON t.tenant_id = a.tenant_id
        JOIN storage s ON s.storage_id = t.storage_id
        WHERE a.name > ?1 AND a.domain_id = ?3 ORDER BY a.name LIMIT ?2";
    ADD_MAILDROP = "INSERT INTO maildrop (tenant_id) VALUES (?1) RETURNING maildrop_id";
    ADD_ACCOUNT = "INSERT INTO account (account_id, tenant_id, domain_id, domain_name, local_part, password,
            quota_octets, quota_messages)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    SET_ACCOUNT = "UPDATE account SET state = ?2, quota_octets = ?3, quota_messages = ?4 WHERE account_id = ?1";
    SET_PASSWORD = "UPDATE account SET password = ?2, credential_version = credential_version + 1
        WHERE account_id = ?1";
    REMOVE_ACCOUNT = "DELETE FROM account WHERE account_id = ?1";
    BURY_MESSAGES = "UPDATE message SET deleted_at = ?2 WHERE maildrop_id = ?1 AND deleted_at IS NULL";
    EMPTY_MAILDROP = "UPDATE maildrop SET messages = 0, octets = 0 WHERE maildrop_id = ?1";
    FORGET_UNIQUE_IDS = "DELETE FROM unique_id WHERE maildrop_id = ?1";
}
