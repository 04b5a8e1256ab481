-- The octets of messages, for storages of kind "postgres". A blob is there when its row of `blob` is: that row is
-- written last and names the upload whose parts it consists of, so that nobody reads half a blob, or two mixed.

CREATE TABLE blob (
    tenant_id   bigint NOT NULL,
    blob        bytea NOT NULL CHECK (length(blob) = 16),
    upload      bytea NOT NULL CHECK (length(upload) = 16),
    octets      bigint NOT NULL CHECK (octets >= 0),
    part_octets integer NOT NULL CHECK (part_octets > 0),
    PRIMARY KEY (tenant_id, blob)
);

-- Parts of equal size, but for the last. Mail does not shrink enough to be worth the time that compressing takes,
-- and a compressed value cannot be read in part.
CREATE TABLE blob_part (
    tenant_id bigint NOT NULL,
    blob      bytea NOT NULL,
    upload    bytea NOT NULL,
    part      integer NOT NULL CHECK (part >= 0),
    octets    bytea NOT NULL,
    PRIMARY KEY (tenant_id, blob, upload, part)
);
ALTER TABLE blob_part ALTER COLUMN octets SET STORAGE EXTERNAL;
-- What the collector removes is to be room again soon: whole messages, not rows of a few octets.
ALTER TABLE blob_part SET (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);

-- A blob is one message's. An audit asks by it.
CREATE UNIQUE INDEX message_blob ON message (tenant_id, blob);

-- Octets that were moved to another storage stay where they were until no session can be reading them; then the row
-- goes on to blob_gc. A table of its own, so that a frontend of the release before, which does not know it, removes
-- nothing too early.
CREATE TABLE blob_left (
    tenant_id  bigint NOT NULL REFERENCES tenant (tenant_id),
    blob       bytea NOT NULL CHECK (length(blob) = 16),
    storage_id bigint NOT NULL REFERENCES storage (storage_id),
    not_before timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, blob)
);
CREATE INDEX blob_left_age ON blob_left (not_before);

-- The oldest schema that a release must know to work with this one. A migration that an older release can live with
-- leaves it as it is, so that frontends of both releases run side by side.
ALTER TABLE installation ADD COLUMN needs_migration bigint NOT NULL DEFAULT 4;

-- Since when an operator wants nothing to be removed from any storage.
ALTER TABLE installation ADD COLUMN collection_stopped_at timestamptz;
