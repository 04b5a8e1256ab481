//! Statements of the database itself, the index, the ledger of blobs and the lock.

statements! {
    /// What must be so for the promises of this crate to hold.
    SERVER = "SELECT current_setting('server_version_num')::int, current_setting('synchronous_commit'),
            pg_is_in_recovery(), current_setting('server_encoding'), current_setting('synchronous_standby_names')";

    /// Answers the key that it was given: the probe compares.
    PROBE_KEY = "SELECT $1::bigint, pg_backend_pid()";
    PROBE_TEXT = "SELECT $1::text, pg_backend_pid()";
    PROBE_PAIR = "SELECT $1::bigint, $2::text, pg_backend_pid()";

    ADD_STORAGE = "INSERT INTO storage (name) VALUES ($1) ON CONFLICT (name) DO NOTHING";
    STORAGE_ID = "SELECT storage_id FROM storage WHERE name = $1";
    STORAGE_NAME = "SELECT name FROM storage WHERE storage_id = $1";

    /// Usage and quota of a maildrop that has an account; the key is answered, to be compared.
    USAGE = "SELECT m.maildrop_id, m.messages, m.octets,
            coalesce(a.quota_messages, t.quota_messages), coalesce(a.quota_octets, t.quota_octets)
        FROM account a
        JOIN maildrop m ON m.maildrop_id = a.account_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        WHERE a.account_id = $1 AND a.tenant_id = $2";
    /// The same; deliveries to the maildrop go one after the other from here to the end of the transaction.
    USAGE_FOR_DELIVERY = "SELECT m.maildrop_id, m.messages, m.octets,
            coalesce(a.quota_messages, t.quota_messages), coalesce(a.quota_octets, t.quota_octets)
        FROM account a
        JOIN maildrop m ON m.maildrop_id = a.account_id
        JOIN tenant t ON t.tenant_id = a.tenant_id
        WHERE a.account_id = $1 AND a.tenant_id = $2
        FOR NO KEY UPDATE OF m";
    /// The fence, the counters, the revision and the last message at one moment. No row: the fence holds no more.
    MAILDROP_STATE = "SELECT d.maildrop_id, d.messages, d.octets, d.revision, n.message_id, n.blob
        FROM maildrop d
        JOIN maildrop_lock l ON l.maildrop_id = d.maildrop_id AND l.token = $3 AND l.session_id IS NOT NULL
        LEFT JOIN LATERAL (
            SELECT m.message_id, m.blob FROM message m
            WHERE m.maildrop_id = d.maildrop_id AND m.tenant_id = d.tenant_id AND m.deleted_at IS NULL
            ORDER BY m.message_id DESC LIMIT 1) n ON true
        WHERE d.maildrop_id = $1 AND d.tenant_id = $2";
    /// The fence, the counters and the messages from a key on, at one moment. No row: the fence holds no more. Without
    /// such messages it is one row without a message.
    SNAPSHOT = "SELECT d.maildrop_id, d.messages, d.octets, d.revision, m.message_id, m.unique_id, m.octets,
            m.header_octets, m.has_dot_lines, m.needs_utf8, m.crc64, m.header_crc64, m.storage_id, m.blob
        FROM maildrop d
        JOIN maildrop_lock l ON l.maildrop_id = d.maildrop_id AND l.token = $3 AND l.session_id IS NOT NULL
        LEFT JOIN message m ON m.maildrop_id = d.maildrop_id AND m.tenant_id = d.tenant_id
            AND m.deleted_at IS NULL AND m.message_id >= $4
        WHERE d.maildrop_id = $1 AND d.tenant_id = $2
        ORDER BY m.message_id";

    RESERVE = "INSERT INTO pending_blob (tenant_id, blob, maildrop_id, storage_id, reserved_at)
        SELECT a.tenant_id, $3, a.account_id, $4, clock_timestamp()
        FROM account a WHERE a.account_id = $1 AND a.tenant_id = $2";
    TAKE_RESERVATION = "DELETE FROM pending_blob
        WHERE tenant_id = $1 AND blob = $2 AND maildrop_id = $3 AND storage_id = $4";
    USE_UNIQUE_ID = "INSERT INTO unique_id (maildrop_id, unique_id) VALUES ($1, $2)
        ON CONFLICT (maildrop_id, unique_id) DO NOTHING";
    ADD_MESSAGE = "INSERT INTO message (tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines,
            needs_utf8, crc64, header_crc64, sha256, storage_id, blob, received_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
            timestamptz 'epoch' + $13::bigint * interval '1 microsecond')";
    COUNT_MESSAGE = "UPDATE maildrop SET messages = messages + 1, octets = octets + $2 WHERE maildrop_id = $1";
    /// Of the same digest, received after a time.
    RECENT_MESSAGE = "SELECT unique_id FROM recent_message
        WHERE maildrop_id = $1 AND sha256 = $2
            AND received_at > timestamptz 'epoch' + $3::bigint * interval '1 microsecond'";
    REMEMBER_MESSAGE = "INSERT INTO recent_message (maildrop_id, sha256, unique_id, received_at)
        VALUES ($1, $2, $3, timestamptz 'epoch' + $4::bigint * interval '1 microsecond')
        ON CONFLICT (maildrop_id, sha256)
            DO UPDATE SET unique_id = EXCLUDED.unique_id, received_at = EXCLUDED.received_at";
    PRUNE_RECENT_MESSAGES = "DELETE FROM recent_message WHERE (maildrop_id, sha256) IN
        (SELECT maildrop_id, sha256 FROM recent_message
         WHERE received_at < timestamptz 'epoch' + $1::bigint * interval '1 microsecond' LIMIT $2)";

    /// UPDATE: compares the fence, deletes, counts and logs in one step. No row: fenced. READ COMMITTED looks at the
    /// newest version of the lock's row after it has waited for it, so a takeover under way counts.
    UPDATE = "WITH fence AS (
            UPDATE maildrop_lock SET session_id = NULL
            WHERE maildrop_id = $1 AND tenant_id = $2 AND token = $3 AND session_id = $4
            RETURNING 1),
        deleted AS (
            UPDATE message SET deleted_at = clock_timestamp()
            WHERE maildrop_id = $1 AND tenant_id = $2 AND message_id = ANY($5) AND deleted_at IS NULL
                AND EXISTS (SELECT 1 FROM fence)
            RETURNING octets),
        counted AS (
            SELECT count(*) AS messages, coalesce(sum(octets), 0)::bigint AS octets FROM deleted),
        maildrop_counted AS (
            UPDATE maildrop d SET messages = d.messages - counted.messages, octets = d.octets - counted.octets,
                revision = d.revision + 1
            FROM counted WHERE d.maildrop_id = $1 AND d.tenant_id = $2 AND counted.messages > 0)
        INSERT INTO update_log (session_id, maildrop_id, token, n_deleted, at)
        SELECT $4, $1, $3, counted.messages, clock_timestamp() FROM fence, counted
        RETURNING n_deleted";
    UPDATE_OF_SESSION = "SELECT n_deleted FROM update_log WHERE session_id = $1 AND maildrop_id = $2";
    /// Waits for a commit under way; none under this token succeeds after it.
    END_FENCE = "UPDATE maildrop_lock SET token = token + 1, session_id = NULL
        WHERE maildrop_id = $1 AND token = $2";
    PRUNE_UPDATE_LOG = "DELETE FROM update_log WHERE (session_id, maildrop_id) IN
        (SELECT session_id, maildrop_id FROM update_log
         WHERE at < timestamptz 'epoch' + $1::bigint * interval '1 microsecond' LIMIT $2)";

    CONDEMNED = "SELECT tenant_id, blob, storage_id FROM blob_gc LIMIT $1";
    CONDEMN_LEFT = "WITH due AS (
            SELECT tenant_id, blob FROM blob_left
            WHERE not_before <= timestamptz 'epoch' + $1::bigint * interval '1 microsecond'
            ORDER BY not_before LIMIT $2 FOR UPDATE SKIP LOCKED),
        gone AS (
            DELETE FROM blob_left l USING due WHERE l.tenant_id = due.tenant_id AND l.blob = due.blob
            RETURNING l.tenant_id, l.blob, l.storage_id)
        INSERT INTO blob_gc (tenant_id, blob, storage_id) SELECT tenant_id, blob, storage_id FROM gone";
    CONDEMN_MESSAGES = "WITH due AS (
            SELECT m.message_id FROM tenant t JOIN message m ON m.tenant_id = t.tenant_id
            WHERE m.deleted_at IS NOT NULL
                AND m.deleted_at < timestamptz 'epoch' + ($1::bigint - t.retention_us) * interval '1 microsecond'
            LIMIT $2 FOR UPDATE OF m SKIP LOCKED),
        gone AS (
            DELETE FROM message m USING due WHERE m.message_id = due.message_id
            RETURNING m.tenant_id, m.blob, m.storage_id)
        INSERT INTO blob_gc (tenant_id, blob, storage_id) SELECT tenant_id, blob, storage_id FROM gone";
    CONDEMN_RESERVATIONS = "WITH due AS (
            SELECT tenant_id, blob FROM pending_blob
            WHERE reserved_at < timestamptz 'epoch' + $1::bigint * interval '1 microsecond'
            ORDER BY reserved_at LIMIT $2 FOR UPDATE SKIP LOCKED),
        gone AS (
            DELETE FROM pending_blob p USING due WHERE p.tenant_id = due.tenant_id AND p.blob = due.blob
            RETURNING p.tenant_id, p.blob, p.storage_id)
        INSERT INTO blob_gc (tenant_id, blob, storage_id) SELECT tenant_id, blob, storage_id FROM gone";
    /// Of a tenant, received before a time, at most so many: tombstones, counted off in the same step.
    EXPIRE = "WITH due AS (
            SELECT message_id FROM message
            WHERE tenant_id = $1 AND deleted_at IS NULL
                AND received_at < to_timestamp(0) + $2 * interval '1 microsecond'
            ORDER BY received_at LIMIT $3 FOR UPDATE SKIP LOCKED),
        gone AS (
            UPDATE message m SET deleted_at = clock_timestamp() FROM due
            WHERE m.message_id = due.message_id AND m.deleted_at IS NULL RETURNING m.maildrop_id, m.octets),
        counted AS (
            UPDATE maildrop d SET messages = d.messages - g.messages, octets = d.octets - g.octets,
                revision = d.revision + 1
            FROM (SELECT maildrop_id, count(*) AS messages, sum(octets)::bigint AS octets FROM gone
                GROUP BY maildrop_id) g
            WHERE d.maildrop_id = g.maildrop_id)
        SELECT count(*) FROM gone";
    COLLECTED = "DELETE FROM blob_gc g
        USING unnest($1::bigint[], $2::bytea[], $3::bigint[]) AS c (tenant_id, blob, storage_id)
        WHERE g.tenant_id = c.tenant_id AND g.blob = c.blob AND g.storage_id = c.storage_id";

    /// For the rest of the transaction, in milliseconds.
    ALLOW = "SELECT set_config('statement_timeout', $1::bigint::text, true)";

    NEXT_INCARNATION = "SELECT nextval('incarnation')";
    /// Renews the lease, also a late one, and one that was reaped. Answers whether a later start has this name too.
    BEAT = "INSERT INTO frontend AS f (node, incarnation, expires_at)
        VALUES ($1, $2, clock_timestamp() + $3::bigint * interval '1 microsecond')
        ON CONFLICT (node, incarnation) DO UPDATE SET expires_at = EXCLUDED.expires_at
        RETURNING EXISTS (SELECT 1 FROM frontend o
            WHERE o.node = $1 AND o.incarnation > $2 AND o.expires_at > clock_timestamp())";
    END_LEASE = "DELETE FROM frontend WHERE node = $1 AND incarnation = $2";
    REAP_LEASES = "DELETE FROM frontend WHERE expires_at < clock_timestamp() - interval '1 day'";
    /// No row: in use.
    OPEN = "INSERT INTO maildrop_lock AS l
            (maildrop_id, tenant_id, token, session_id, node, incarnation, opened_at, hard_deadline)
        VALUES ($1, $2, 1, $3, $4, $5, clock_timestamp(),
            clock_timestamp() + $6::bigint * interval '1 microsecond')
        ON CONFLICT (maildrop_id) DO UPDATE
        SET token = l.token + 1, session_id = EXCLUDED.session_id, node = EXCLUDED.node,
            incarnation = EXCLUDED.incarnation, opened_at = EXCLUDED.opened_at,
            hard_deadline = EXCLUDED.hard_deadline
        WHERE l.tenant_id = $2 AND (
            l.session_id IS NULL
            OR l.hard_deadline + $7::bigint * interval '1 microsecond' < clock_timestamp()
            OR (l.node = $4 AND l.incarnation < $5)
            OR NOT EXISTS (SELECT 1 FROM frontend f
                WHERE f.node = l.node AND f.incarnation = l.incarnation
                    AND f.expires_at + $7::bigint * interval '1 microsecond' > clock_timestamp()))
        RETURNING maildrop_id, token,
            EXISTS (SELECT 1 FROM maildrop_lock before WHERE before.maildrop_id = $1
                AND before.session_id IS NOT NULL)";
    RELEASE = "UPDATE maildrop_lock SET session_id = NULL
        WHERE maildrop_id = $1 AND token = $2 AND session_id IS NOT NULL";
    /// Those of the fences that hold no more.
    PROBE = "SELECT h.maildrop_id, h.token
        FROM unnest($1::bigint[], $2::bigint[]) AS h (maildrop_id, token)
        LEFT JOIN maildrop_lock l ON l.maildrop_id = h.maildrop_id
        WHERE l.token IS DISTINCT FROM h.token OR l.session_id IS NULL";
    /// Held maildrops after a number, with their account's name; of one maildrop if it is given.
    HELD = "SELECT l.tenant_id, l.maildrop_id, n.address, l.session_id, l.node,
            (extract(epoch FROM l.opened_at) * 1000000)::bigint,
            EXISTS (SELECT 1 FROM frontend f WHERE f.node = l.node AND f.incarnation = l.incarnation
                AND f.expires_at > clock_timestamp())
        FROM maildrop_lock l LEFT JOIN address n ON n.account_id = l.maildrop_id AND NOT n.is_alias
        WHERE l.session_id IS NOT NULL AND l.maildrop_id > $1 AND ($2::bigint IS NULL OR l.maildrop_id = $2)
        ORDER BY l.maildrop_id LIMIT $3";
    FREE = "UPDATE maildrop_lock SET token = token + 1, session_id = NULL
        WHERE maildrop_id = $1 AND tenant_id = $2 AND session_id = $3";
    SUPERSEDE = "UPDATE maildrop_lock SET token = token + 1, session_id = NULL
        WHERE maildrop_id = $1 AND tenant_id = $2 AND session_id IS NOT NULL";
}
