-- Who there is: storages by name, tenants, their domains, their accounts and maildrops.
-- Times are microseconds since 1970 (UTC); sizes are octets.

CREATE TABLE storage (
    storage_id INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 255)
) STRICT;

-- A removed tenant keeps its row, because the retention of its last messages stands here. Its name is free.
CREATE TABLE tenant (
    tenant_id      INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 63 AND name NOT GLOB '*[^a-z0-9-]*'),
    storage_id     INTEGER NOT NULL REFERENCES storage (storage_id),
    retention_us   INTEGER NOT NULL CHECK (retention_us >= 0),
    quota_octets   INTEGER CHECK (quota_octets >= 0),
    quota_messages INTEGER CHECK (quota_messages >= 0),
    removed_at     INTEGER
) STRICT;
CREATE UNIQUE INDEX tenant_name ON tenant (name) WHERE removed_at IS NULL;

CREATE TABLE domain (
    domain_id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id INTEGER NOT NULL REFERENCES tenant (tenant_id),
    name      TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 253),
    UNIQUE (tenant_id, domain_id, name)
) STRICT;

-- Counts its live messages in the transaction that changes them. Never removed, so its number never comes again.
CREATE TABLE maildrop (
    maildrop_id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   INTEGER NOT NULL REFERENCES tenant (tenant_id),
    messages    INTEGER NOT NULL DEFAULT 0 CHECK (messages >= 0),
    octets      INTEGER NOT NULL DEFAULT 0 CHECK (octets >= 0),
    UNIQUE (tenant_id, maildrop_id)
) STRICT;

-- The foreign keys carry the tenant, so that an account cannot be in a domain or a maildrop of another tenant.
CREATE TABLE account (
    account_id         INTEGER PRIMARY KEY,
    tenant_id          INTEGER NOT NULL,
    domain_id          INTEGER NOT NULL,
    domain_name        TEXT NOT NULL,
    local_part         TEXT NOT NULL CHECK (length(local_part) BETWEEN 1 AND 64 AND instr(local_part, '@') = 0),
    name               TEXT NOT NULL GENERATED ALWAYS AS (local_part || '@' || domain_name) VIRTUAL,
    state              TEXT NOT NULL DEFAULT 'active' CHECK (
        state IN ('active', 'login-suspended', 'receive-suspended', 'read-only', 'closed')),
    password           TEXT,
    credential_version INTEGER NOT NULL DEFAULT 1,
    quota_octets       INTEGER CHECK (quota_octets >= 0),
    quota_messages     INTEGER CHECK (quota_messages >= 0),
    FOREIGN KEY (tenant_id, account_id) REFERENCES maildrop (tenant_id, maildrop_id),
    FOREIGN KEY (tenant_id, domain_id, domain_name) REFERENCES domain (tenant_id, domain_id, name)
) STRICT;
CREATE UNIQUE INDEX account_name ON account (name);
CREATE INDEX account_of_domain ON account (domain_id, name);
CREATE INDEX account_of_tenant ON account (tenant_id, domain_id, domain_name);

-- How often a serving process has started: the high bits of its fencing tokens.
CREATE TABLE incarnation (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value    INTEGER NOT NULL
) STRICT;
INSERT INTO incarnation (only_row, value) VALUES (1, 0);
