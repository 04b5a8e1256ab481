//! Statements of the blobs.

statements! {
    /// The first parts with the blob's own row, all or nothing: for a blob that fits into one statement. Answers how
    /// many rows of `blob` were made: none if the key is taken.
    ADD_WHOLE = "WITH head AS (
            INSERT INTO blob (tenant_id, blob, upload, octets, part_octets) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (tenant_id, blob) DO NOTHING RETURNING 1),
        parts AS (
            INSERT INTO blob_part (tenant_id, blob, upload, part, octets)
            SELECT $1, $2, $3, p.part, p.octets FROM unnest($6::int[], $7::bytea[]) AS p (part, octets), head)
        SELECT count(*) FROM head";
    /// Parts of a blob that is not there yet.
    ADD_PARTS = "INSERT INTO blob_part (tenant_id, blob, upload, part, octets)
        SELECT $1, $2, $3, p.part, p.octets FROM unnest($4::int[], $5::bytea[]) AS p (part, octets)";
    /// Gives up an upload: its key was taken meanwhile.
    REMOVE_UPLOAD = "DELETE FROM blob_part WHERE tenant_id = $1 AND blob = $2 AND upload = $3";

    /// The blob and the part that holds an octet of it; the key is answered, to be compared. No row: no such blob.
    FIND = "SELECT b.tenant_id, b.blob, b.octets, b.part_octets, p.octets
        FROM blob b
        LEFT JOIN blob_part p ON p.tenant_id = b.tenant_id AND p.blob = b.blob AND p.upload = b.upload
            AND p.part = $3::bigint / b.part_octets
        WHERE b.tenant_id = $1 AND b.blob = $2";

    /// Blobs, and what puts that came to nothing have left, after a key.
    LIST = "(SELECT tenant_id, blob FROM blob WHERE (tenant_id, blob) > ($1, $2)
            ORDER BY tenant_id, blob LIMIT $3)
        UNION
        (SELECT DISTINCT tenant_id, blob FROM blob_part WHERE (tenant_id, blob) > ($1, $2)
            ORDER BY tenant_id, blob LIMIT $3)
        ORDER BY tenant_id, blob LIMIT $3";

    /// The blob is gone with its row; its parts, and those of uploads that came to nothing, at most so many of them.
    REMOVE = "WITH head AS (DELETE FROM blob WHERE tenant_id = $1 AND blob = $2),
        due AS (
            SELECT upload, part FROM blob_part WHERE tenant_id = $1 AND blob = $2
            ORDER BY upload, part LIMIT $3 FOR UPDATE)
        DELETE FROM blob_part p USING due
        WHERE p.tenant_id = $1 AND p.blob = $2 AND p.upload = due.upload AND p.part = due.part";
}
