-- Storage plugins: components by their digest, and which of them is in force under a name.
CREATE TABLE plugin_component (
    sha256 BLOB PRIMARY KEY NOT NULL CHECK (length(sha256) = 32),
    octets BLOB NOT NULL
) STRICT;

CREATE TABLE plugin (
    name         TEXT PRIMARY KEY NOT NULL CHECK (length(name) BETWEEN 1 AND 63),
    is_enabled   INTEGER NOT NULL DEFAULT 1,
    component    BLOB NOT NULL REFERENCES plugin_component (sha256),
    previous     BLOB REFERENCES plugin_component (sha256),
    installed_at INTEGER NOT NULL
) STRICT;

-- What plugins keep, apart for each storage and tenant.
CREATE TABLE plugin_value (
    storage   TEXT NOT NULL,
    tenant_id INTEGER NOT NULL,
    key       TEXT NOT NULL CHECK (length(CAST(key AS BLOB)) BETWEEN 1 AND 512),
    value     BLOB NOT NULL CHECK (length(value) <= 262144),
    PRIMARY KEY (storage, tenant_id, key)
) STRICT;
