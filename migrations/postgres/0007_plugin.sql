-- Storage plugins: components by their digest, and which of them is in force under a name.
CREATE TABLE plugin_component (
    sha256 bytea PRIMARY KEY CHECK (length(sha256) = 32),
    octets bytea NOT NULL
);
ALTER TABLE plugin_component ALTER COLUMN octets SET STORAGE EXTERNAL;

CREATE TABLE plugin (
    name         text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[a-z0-9_-]{1,63}$'),
    is_enabled   boolean NOT NULL DEFAULT true,
    component    bytea NOT NULL REFERENCES plugin_component (sha256),
    previous     bytea REFERENCES plugin_component (sha256),
    installed_at timestamptz NOT NULL
);

-- What plugins keep, apart for each storage and tenant. Tenants may be known to a view alone, so none is referred to.
CREATE TABLE plugin_value (
    storage   text COLLATE "C" NOT NULL,
    tenant_id bigint NOT NULL,
    key       text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 512),
    value     bytea NOT NULL CHECK (length(value) <= 262144),
    PRIMARY KEY (storage, tenant_id, key)
);
ALTER TABLE plugin_value ALTER COLUMN value SET STORAGE EXTERNAL;
ALTER TABLE plugin_value SET (autovacuum_vacuum_scale_factor = 0.05, toast.autovacuum_vacuum_scale_factor = 0.05);
