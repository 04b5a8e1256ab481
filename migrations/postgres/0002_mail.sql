-- Which messages exist, and the one-way road of their blobs: pending_blob -> message -> blob_gc.
-- Checksums are the 64 bits of the digest as a signed number.

-- Every unique-id that a maildrop ever used, also after the message and its tombstone are gone (RFC 1939 section 7).
CREATE TABLE unique_id (
    maildrop_id bigint NOT NULL REFERENCES maildrop (maildrop_id),
    unique_id   text COLLATE "C" NOT NULL CHECK (unique_id ~ '^[!-~]{1,70}$'),
    PRIMARY KEY (maildrop_id, unique_id)
);

-- POP3 order is the order of message_id. A row with deleted_at is a tombstone: kept until the retention ends.
CREATE TABLE message (
    message_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id     bigint NOT NULL,
    maildrop_id   bigint NOT NULL,
    unique_id     text COLLATE "C" NOT NULL CHECK (unique_id ~ '^[!-~]{1,70}$'),
    octets        bigint NOT NULL CHECK (octets >= 0),
    header_octets bigint NOT NULL CHECK (header_octets BETWEEN 0 AND octets),
    has_dot_lines boolean NOT NULL,
    needs_utf8    boolean NOT NULL,
    crc64         bigint NOT NULL,
    header_crc64  bigint NOT NULL,
    sha256        bytea NOT NULL CHECK (length(sha256) = 32),
    storage_id    bigint NOT NULL REFERENCES storage (storage_id),
    blob          bytea NOT NULL CHECK (length(blob) = 16),
    received_at   timestamptz NOT NULL,
    deleted_at    timestamptz,
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrop (tenant_id, maildrop_id)
);
CREATE INDEX message_live ON message (maildrop_id, message_id) WHERE deleted_at IS NULL;
CREATE INDEX message_deleted ON message (tenant_id, deleted_at) WHERE deleted_at IS NOT NULL;

-- Blobs that are being written. The row goes in the transaction that makes a message of the blob.
CREATE TABLE pending_blob (
    tenant_id   bigint NOT NULL,
    blob        bytea NOT NULL CHECK (length(blob) = 16),
    maildrop_id bigint NOT NULL,
    storage_id  bigint NOT NULL REFERENCES storage (storage_id),
    reserved_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, blob),
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrop (tenant_id, maildrop_id)
);
CREATE INDEX pending_blob_age ON pending_blob (reserved_at);

-- Blobs that no message needs any more, until their storage has removed them.
CREATE TABLE blob_gc (
    tenant_id  bigint NOT NULL REFERENCES tenant (tenant_id),
    blob       bytea NOT NULL CHECK (length(blob) = 16),
    storage_id bigint NOT NULL REFERENCES storage (storage_id),
    PRIMARY KEY (tenant_id, blob)
);

-- What became of each session's UPDATE. Without a row nothing was deleted, and nothing will be once the token of
-- maildrop_lock has moved on.
CREATE TABLE update_log (
    session_id  bytea NOT NULL CHECK (length(session_id) = 16),
    maildrop_id bigint NOT NULL,
    token       bigint NOT NULL,
    n_deleted   bigint NOT NULL CHECK (n_deleted >= 0),
    at          timestamptz NOT NULL,
    PRIMARY KEY (session_id, maildrop_id)
);
CREATE INDEX update_log_age ON update_log (at);
