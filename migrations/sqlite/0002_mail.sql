-- Which messages exist, and the one-way road of their blobs: pending_blob -> message -> blob_gc.
-- Times are microseconds since 1970 (UTC). Checksums are the 64 bits of the digest as a signed number.

-- Every unique-id that a maildrop ever used, also after the message and its tombstone are gone (RFC 1939 section 7).
CREATE TABLE unique_id (
    maildrop_id INTEGER NOT NULL REFERENCES maildrop (maildrop_id),
    unique_id   TEXT NOT NULL CHECK (
        length(unique_id) BETWEEN 1 AND 70 AND unique_id NOT GLOB '*[^!-~]*'),
    PRIMARY KEY (maildrop_id, unique_id)
) STRICT, WITHOUT ROWID;

-- POP3 order is the order of message_id. A row with deleted_at is a tombstone: kept until the retention ends.
CREATE TABLE message (
    message_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id     INTEGER NOT NULL,
    maildrop_id   INTEGER NOT NULL,
    unique_id     TEXT NOT NULL CHECK (
        length(unique_id) BETWEEN 1 AND 70 AND unique_id NOT GLOB '*[^!-~]*'),
    octets        INTEGER NOT NULL CHECK (octets >= 0),
    header_octets INTEGER NOT NULL CHECK (header_octets BETWEEN 0 AND octets),
    has_dot_lines INTEGER NOT NULL CHECK (has_dot_lines IN (0, 1)),
    needs_utf8    INTEGER NOT NULL CHECK (needs_utf8 IN (0, 1)),
    crc64         INTEGER NOT NULL,
    header_crc64  INTEGER NOT NULL,
    sha256        BLOB NOT NULL CHECK (length(sha256) = 32),
    storage_id    INTEGER NOT NULL REFERENCES storage (storage_id),
    blob          BLOB NOT NULL CHECK (length(blob) = 16),
    received_at   INTEGER NOT NULL,
    deleted_at    INTEGER,
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrop (tenant_id, maildrop_id)
) STRICT;
CREATE INDEX message_live ON message (maildrop_id, message_id) WHERE deleted_at IS NULL;
CREATE INDEX message_deleted ON message (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

-- Blobs that are being written. The row goes in the transaction that makes a message of the blob.
CREATE TABLE pending_blob (
    tenant_id   INTEGER NOT NULL,
    blob        BLOB NOT NULL CHECK (length(blob) = 16),
    maildrop_id INTEGER NOT NULL,
    storage_id  INTEGER NOT NULL REFERENCES storage (storage_id),
    reserved_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, blob),
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrop (tenant_id, maildrop_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_blob_age ON pending_blob (reserved_at);

-- Blobs that no message needs any more, until their storage has removed them.
CREATE TABLE blob_gc (
    tenant_id  INTEGER NOT NULL REFERENCES tenant (tenant_id),
    blob       BLOB NOT NULL CHECK (length(blob) = 16),
    storage_id INTEGER NOT NULL REFERENCES storage (storage_id),
    PRIMARY KEY (tenant_id, blob)
) STRICT, WITHOUT ROWID;

-- What became of each session's UPDATE. Without n_deleted: decided that it never happens.
CREATE TABLE update_log (
    session_id  BLOB NOT NULL CHECK (length(session_id) = 16),
    maildrop_id INTEGER NOT NULL,
    token       INTEGER NOT NULL,
    n_deleted   INTEGER CHECK (n_deleted >= 0),
    at          INTEGER NOT NULL,
    PRIMARY KEY (session_id, maildrop_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX update_log_age ON update_log (at);
