-- A blob is one message's. An audit asks by it.
CREATE UNIQUE INDEX message_blob ON message (tenant_id, blob);

-- Octets that were moved to another storage stay where they were until no session can be reading them; then the row
-- goes on to blob_gc.
CREATE TABLE blob_left (
    tenant_id  INTEGER NOT NULL REFERENCES tenant (tenant_id),
    blob       BLOB NOT NULL CHECK (length(blob) = 16),
    storage_id INTEGER NOT NULL REFERENCES storage (storage_id),
    not_before INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, blob)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_left_age ON blob_left (not_before);

-- Since when an operator wants nothing to be removed from any storage.
ALTER TABLE installation ADD COLUMN collection_stopped_at INTEGER;
