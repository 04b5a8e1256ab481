-- Who there is: storages by name, tenants with their rules, domains, accounts with maildrops, addresses, credentials,
-- certificates, and the audit. Durations are microseconds, sizes octets.
--
-- Two locks keep tenants apart. Foreign keys carry the tenant, so that nothing of one can refer to anything of another.
-- And row-level security, for whoever acts on behalf of one tenant: a transaction that has set `restante.tenant` sees
-- and changes the rows of that tenant alone, whatever its statements say.

CREATE FUNCTION restante_tenant() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE AS
    $$ SELECT nullif(current_setting('restante.tenant', true), '')::bigint $$;

CREATE TABLE storage (
    storage_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 255)
);

-- A removed tenant keeps its row, because the retention of its last messages stands here. Its name is free.
CREATE TABLE tenant (
    tenant_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text COLLATE "C" NOT NULL CHECK (name ~ '^[a-z0-9-]{1,63}$'),
    storage_id     bigint NOT NULL REFERENCES storage (storage_id),
    state          text NOT NULL DEFAULT 'active' CHECK (
        state IN ('active', 'login-suspended', 'receive-suspended', 'read-only', 'closed')),
    default_domain text COLLATE "C",
    retention_us   bigint NOT NULL CHECK (retention_us >= 0),
    quota_octets   bigint CHECK (quota_octets >= 0),
    quota_messages bigint CHECK (quota_messages >= 0),
    removed_at     timestamptz
);
CREATE UNIQUE INDEX tenant_name ON tenant (name) WHERE removed_at IS NULL;

-- What a tenant lays down for its users, as one document; one without a row has the defaults.
CREATE TABLE policy (
    tenant_id bigint PRIMARY KEY REFERENCES tenant (tenant_id),
    document  jsonb NOT NULL CHECK (jsonb_typeof(document) = 'object')
);

-- Names of the server (SNI) by which a client says whose user it is.
CREATE TABLE server_name (
    name      text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 253),
    tenant_id bigint NOT NULL REFERENCES tenant (tenant_id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE domain (
    domain_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id bigint NOT NULL REFERENCES tenant (tenant_id),
    name      text COLLATE "C" NOT NULL UNIQUE CHECK (octet_length(name) BETWEEN 1 AND 253),
    UNIQUE (tenant_id, name),
    UNIQUE (tenant_id, domain_id, name)
);
ALTER TABLE tenant ADD FOREIGN KEY (tenant_id, default_domain) REFERENCES domain (tenant_id, name);

-- Counts its live messages in the transaction that changes them. Never removed, so its number never comes again.
CREATE TABLE maildrop (
    maildrop_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   bigint NOT NULL REFERENCES tenant (tenant_id),
    messages    bigint NOT NULL DEFAULT 0 CHECK (messages >= 0),
    octets      bigint NOT NULL DEFAULT 0 CHECK (octets >= 0),
    UNIQUE (tenant_id, maildrop_id)
);

CREATE TABLE account (
    account_id         bigint PRIMARY KEY,
    tenant_id          bigint NOT NULL,
    state              text NOT NULL DEFAULT 'active' CHECK (
        state IN ('active', 'login-suspended', 'receive-suspended', 'read-only', 'closed')),
    password           text,
    scram              text,
    credential_version bigint NOT NULL DEFAULT 1,
    quota_octets       bigint CHECK (quota_octets >= 0),
    quota_messages     bigint CHECK (quota_messages >= 0),
    UNIQUE (tenant_id, account_id),
    FOREIGN KEY (tenant_id, account_id) REFERENCES maildrop (tenant_id, maildrop_id)
);

-- Every address, accounts' own names and aliases alike: that no two are the same is one index, and a login is one look
-- into it.
CREATE TABLE address (
    address     text COLLATE "C" PRIMARY KEY,
    tenant_id   bigint NOT NULL,
    account_id  bigint NOT NULL,
    domain_id   bigint NOT NULL,
    domain_name text COLLATE "C" NOT NULL,
    local_part  text COLLATE "C" NOT NULL CHECK (
        octet_length(local_part) BETWEEN 1 AND 64 AND strpos(local_part, '@') = 0),
    is_alias    boolean NOT NULL,
    may_log_in  boolean NOT NULL,
    CHECK (address = local_part || '@' || domain_name),
    CHECK (is_alias OR may_log_in),
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, domain_id, domain_name) REFERENCES domain (tenant_id, domain_id, name)
);
CREATE UNIQUE INDEX address_of_account ON address (account_id) WHERE NOT is_alias;
CREATE INDEX address_names ON address (address) WHERE NOT is_alias;
CREATE INDEX address_names_of_domain ON address (domain_id, address) WHERE NOT is_alias;
CREATE INDEX address_names_of_tenant ON address (tenant_id, address) WHERE NOT is_alias;
CREATE INDEX address_aliases ON address (address) WHERE is_alias;
CREATE INDEX address_aliases_of_account ON address (account_id, address) WHERE is_alias;
CREATE INDEX address_of_domain ON address (domain_id, address);

CREATE TABLE app_password (
    app_password_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id       bigint NOT NULL,
    account_id      bigint NOT NULL,
    label           text NOT NULL CHECK (octet_length(label) BETWEEN 1 AND 100),
    verifier        text NOT NULL,
    scope           text NOT NULL CHECK (scope IN ('full', 'read-only')),
    networks        text[] NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at      timestamptz,
    last_used_at    timestamptz,
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id) ON DELETE CASCADE
);
CREATE INDEX app_password_of_account ON app_password (account_id, app_password_id);

-- When an account may log in again (RFC 2449 section 6.5). It refers to no account: where those are the provider's own
-- views, there is none here.
CREATE TABLE login_pace (
    tenant_id   bigint NOT NULL,
    account_id  bigint NOT NULL,
    expected_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, account_id)
) WITH (fillfactor = 70);

-- A tenant's certificate and, under seal, its private key. It serves names that are bound to that tenant.
CREATE TABLE certificate (
    certificate_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id      bigint NOT NULL REFERENCES tenant (tenant_id),
    chain          text NOT NULL,
    sealed_key     bytea NOT NULL,
    not_after      timestamptz NOT NULL,
    UNIQUE (tenant_id, certificate_id)
);
CREATE TABLE certificate_name (
    certificate_id bigint NOT NULL,
    tenant_id      bigint NOT NULL,
    name           text COLLATE "C" NOT NULL,
    PRIMARY KEY (certificate_id, name),
    FOREIGN KEY (tenant_id, certificate_id) REFERENCES certificate (tenant_id, certificate_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, name) REFERENCES server_name (tenant_id, name)
);
CREATE INDEX certificate_name_used ON certificate_name (tenant_id, name);

-- Who did what. Without foreign keys: it outlives what it tells of.
CREATE TABLE audit (
    audit_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL,
    actor      text NOT NULL CHECK (octet_length(actor) <= 200),
    action     text NOT NULL,
    tenant_id  bigint,
    account_id bigint,
    session_id bytea CHECK (length(session_id) = 16),
    client     inet,
    detail     text NOT NULL CHECK (octet_length(detail) <= 1000)
);
CREATE INDEX audit_of_tenant ON audit (tenant_id, audit_id);
CREATE INDEX audit_of_account ON audit (account_id, audit_id);
CREATE INDEX audit_age ON audit (at);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('restante.prune_audit', true) = 'yes' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'the audit is append-only; prune_audit() removes what is too old';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- The one way to shorten the audit: what is older than a moment, all of it. Answers how many lines went.
CREATE FUNCTION prune_audit(before timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    removed bigint;
BEGIN
    PERFORM set_config('restante.prune_audit', 'yes', true);
    DELETE FROM audit WHERE at < before;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('restante.prune_audit', '', true);
    RETURN removed;
END $$;

-- A secret that is the same for all frontends and for ever.
CREATE TABLE installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    secret   bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO installation (secret)
    VALUES (sha256((gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text)::bytea));

-- Grows with every change of what all frontends keep in memory.
CREATE TABLE roster_revision (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    revision bigint NOT NULL
);
INSERT INTO roster_revision (revision) VALUES (1);

CREATE FUNCTION roster_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE roster_revision SET revision = revision + 1;
    PERFORM pg_notify('restante', '');
    RETURN NULL;
END $$;
CREATE TRIGGER roster_tenant AFTER INSERT OR UPDATE OR DELETE ON tenant
    FOR EACH STATEMENT EXECUTE FUNCTION roster_changed();
CREATE TRIGGER roster_policy AFTER INSERT OR UPDATE OR DELETE ON policy
    FOR EACH STATEMENT EXECUTE FUNCTION roster_changed();
CREATE TRIGGER roster_server_name AFTER INSERT OR UPDATE OR DELETE ON server_name
    FOR EACH STATEMENT EXECUTE FUNCTION roster_changed();
CREATE TRIGGER roster_certificate AFTER INSERT OR UPDATE OR DELETE ON certificate
    FOR EACH STATEMENT EXECUTE FUNCTION roster_changed();

CREATE FUNCTION standing_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('restante', '');
    RETURN NULL;
END $$;
CREATE TRIGGER standing_of_account AFTER UPDATE OF state OR DELETE ON account
    FOR EACH STATEMENT EXECUTE FUNCTION standing_changed();
CREATE TRIGGER standing_of_app_password AFTER DELETE ON app_password
    FOR EACH STATEMENT EXECUTE FUNCTION standing_changed();

-- The second lock. Forced, so that it holds for the owner of the tables too.
DO $$
DECLARE
    owned text;
BEGIN
    FOREACH owned IN ARRAY ARRAY['tenant', 'policy', 'server_name', 'domain', 'maildrop', 'account', 'address',
        'app_password', 'login_pace', 'certificate', 'certificate_name', 'audit']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', owned);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', owned);
        -- Of `a IS NULL OR b = c` the planner expects one row in two hundred, of each table in a join, and would rather
        -- sort all accounts than walk an index for a page of them. With no tenant set the comparison is NULL, and all
        -- is seen; a row of no tenant is no tenant's to see.
        EXECUTE format('CREATE POLICY one_tenant ON %I USING (
            coalesce(coalesce(tenant_id, 0) = (SELECT restante_tenant()), true))', owned);
    END LOOP;
END $$;
