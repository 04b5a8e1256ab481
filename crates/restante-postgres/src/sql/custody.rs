//! Statements of the operator's tools for what is stored.

statements! {
    TOTAL = "SELECT coalesce(sum(messages), 0)::bigint, coalesce(sum(octets), 0)::bigint FROM maildrop";

    STORED = "SELECT message_id, tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines, crc64,
            header_crc64, sha256, storage_id, blob,
            (extract(epoch FROM received_at) * 1000000)::bigint, (extract(epoch FROM deleted_at) * 1000000)::bigint
        FROM message WHERE message_id > $1 ORDER BY message_id LIMIT $2";
    /// Of one maildrop: the two halves have an index each.
    STORED_OF_MAILDROP = "SELECT message_id, tenant_id, maildrop_id, unique_id, octets, header_octets, has_dot_lines,
            crc64, header_crc64, sha256, storage_id, blob,
            (extract(epoch FROM received_at) * 1000000)::bigint, (extract(epoch FROM deleted_at) * 1000000)::bigint
        FROM (
            (SELECT * FROM message WHERE maildrop_id = $3 AND tenant_id = $4 AND deleted_at IS NULL
                AND message_id > $1 ORDER BY message_id LIMIT $2)
            UNION ALL
            (SELECT * FROM message WHERE maildrop_id = $3 AND tenant_id = $4 AND deleted_at IS NOT NULL
                AND message_id > $1 ORDER BY message_id LIMIT $2)) m
        ORDER BY message_id LIMIT $2";

    /// Which of the keys, counted from 1, nothing names.
    UNNAMED = "SELECT k.nth FROM unnest($2::bigint[], $3::bytea[]) WITH ORDINALITY AS k (tenant_id, blob, nth)
        WHERE NOT EXISTS (SELECT 1 FROM message m
                WHERE m.tenant_id = k.tenant_id AND m.blob = k.blob AND m.storage_id = $1)
            AND NOT EXISTS (SELECT 1 FROM pending_blob p
                WHERE p.tenant_id = k.tenant_id AND p.blob = k.blob AND p.storage_id = $1)
            AND NOT EXISTS (SELECT 1 FROM blob_left l
                WHERE l.tenant_id = k.tenant_id AND l.blob = k.blob AND l.storage_id = $1)
            AND NOT EXISTS (SELECT 1 FROM blob_gc g
                WHERE g.tenant_id = k.tenant_id AND g.blob = k.blob AND g.storage_id = $1)
        ORDER BY k.nth";

    /// Tombstones that are messages again, counted in the same step. No row: no such maildrop.
    RESTORE = "WITH back AS (
            UPDATE message SET deleted_at = NULL
            WHERE maildrop_id = $1 AND tenant_id = $2 AND message_id = ANY($3) AND deleted_at IS NOT NULL
            RETURNING octets),
        counted AS (
            SELECT count(*) AS messages, coalesce(sum(octets), 0)::bigint AS octets FROM back)
        UPDATE maildrop d SET messages = d.messages + counted.messages, octets = d.octets + counted.octets,
            revision = d.revision + 1
        FROM counted WHERE d.maildrop_id = $1 AND d.tenant_id = $2
        RETURNING counted.messages";

    COLLECTION_STOPPED = "SELECT (extract(epoch FROM collection_stopped_at) * 1000000)::bigint FROM installation";
    STOP_COLLECTION = "UPDATE installation
        SET collection_stopped_at = CASE WHEN $1 THEN coalesce(collection_stopped_at, clock_timestamp()) END";

    RESERVE_FOR = "INSERT INTO pending_blob (tenant_id, blob, maildrop_id, storage_id, reserved_at)
        VALUES ($1, $2, $3, $4, clock_timestamp())";
    /// Whether the message is still where it was, and how many reservations were taken for it. With a message and no
    /// reservation nothing is changed, and without a message nothing either.
    RELOCATE = "WITH found AS (
            SELECT message_id, tenant_id, blob, storage_id FROM message
            WHERE message_id = $1 AND tenant_id = $2 AND maildrop_id = $3 AND storage_id = $4 AND blob = $5
            FOR UPDATE),
        taken AS (
            DELETE FROM pending_blob
            WHERE tenant_id = $2 AND blob = $7 AND maildrop_id = $3 AND storage_id = $6
                AND EXISTS (SELECT 1 FROM found)
            RETURNING 1),
        moved AS (
            UPDATE message m SET storage_id = $6, blob = $7 FROM found, taken WHERE m.message_id = found.message_id),
        revised AS (
            UPDATE maildrop d SET revision = d.revision + 1 FROM taken WHERE d.maildrop_id = $3 AND d.tenant_id = $2),
        old AS (
            INSERT INTO blob_left (tenant_id, blob, storage_id, not_before)
            SELECT found.tenant_id, found.blob, found.storage_id,
                clock_timestamp() + $8::bigint * interval '1 microsecond'
            FROM found, taken)
        SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM taken)";
}
