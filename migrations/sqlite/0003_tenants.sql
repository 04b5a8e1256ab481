-- What tenants lay down and what their users log in with: states, policies, server names, aliases, application
-- passwords, certificates, the pace of logins, and the audit.

ALTER TABLE tenant ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (
    state IN ('active', 'login-suspended', 'receive-suspended', 'read-only', 'closed'));
ALTER TABLE tenant ADD COLUMN default_domain TEXT;
-- The rules as one document (JSON); the key that it lacks has its default.
ALTER TABLE tenant ADD COLUMN policy TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(policy));
ALTER TABLE account ADD COLUMN scram TEXT;
CREATE UNIQUE INDEX account_within_tenant ON account (tenant_id, account_id);

-- For tenants whose messages expire.
CREATE INDEX message_age ON message (tenant_id, received_at) WHERE deleted_at IS NULL;

-- Names of the server (SNI) by which a client says whose user it is.
CREATE TABLE server_name (
    name      TEXT NOT NULL PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 253),
    tenant_id INTEGER NOT NULL REFERENCES tenant (tenant_id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX server_name_of_tenant ON server_name (tenant_id, name);

CREATE TABLE alias (
    address     TEXT NOT NULL PRIMARY KEY,
    tenant_id   INTEGER NOT NULL,
    account_id  INTEGER NOT NULL,
    domain_id   INTEGER NOT NULL,
    domain_name TEXT NOT NULL,
    local_part  TEXT NOT NULL CHECK (length(local_part) BETWEEN 1 AND 64 AND instr(local_part, '@') = 0),
    may_log_in  INTEGER NOT NULL CHECK (may_log_in IN (0, 1)),
    CHECK (address = local_part || '@' || domain_name),
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, domain_id, domain_name) REFERENCES domain (tenant_id, domain_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX alias_of_account ON alias (account_id, address);
CREATE INDEX alias_of_domain ON alias (domain_id, address);

-- No address is an account's and an alias's.
CREATE TRIGGER alias_is_no_account BEFORE INSERT ON alias
    WHEN EXISTS (SELECT 1 FROM account WHERE name = NEW.address)
    BEGIN SELECT RAISE(ABORT, 'the address is an account''s'); END;
CREATE TRIGGER changed_alias_is_no_account BEFORE UPDATE OF address ON alias
    WHEN EXISTS (SELECT 1 FROM account WHERE name = NEW.address)
    BEGIN SELECT RAISE(ABORT, 'the address is an account''s'); END;
CREATE TRIGGER account_is_no_alias BEFORE INSERT ON account
    WHEN EXISTS (SELECT 1 FROM alias WHERE address = NEW.local_part || '@' || NEW.domain_name)
    BEGIN SELECT RAISE(ABORT, 'the name is an alias'); END;
CREATE TRIGGER renamed_account_is_no_alias BEFORE UPDATE OF local_part, domain_name ON account
    WHEN EXISTS (SELECT 1 FROM alias WHERE address = NEW.local_part || '@' || NEW.domain_name)
    BEGIN SELECT RAISE(ABORT, 'the name is an alias'); END;

CREATE TABLE app_password (
    app_password_id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id       INTEGER NOT NULL,
    account_id      INTEGER NOT NULL,
    label           TEXT NOT NULL CHECK (length(CAST(label AS BLOB)) BETWEEN 1 AND 100),
    verifier        TEXT NOT NULL,
    scope           TEXT NOT NULL CHECK (scope IN ('full', 'read-only')),
    -- A JSON array.
    networks        TEXT NOT NULL CHECK (json_valid(networks)),
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER,
    last_used_at    INTEGER,
    FOREIGN KEY (tenant_id, account_id) REFERENCES account (tenant_id, account_id) ON DELETE CASCADE
) STRICT;
CREATE INDEX app_password_of_account ON app_password (account_id, app_password_id);

-- When an account may log in again (RFC 2449 section 6.5).
CREATE TABLE login_pace (
    account_id  INTEGER PRIMARY KEY REFERENCES account (account_id) ON DELETE CASCADE,
    expected_at INTEGER NOT NULL
) STRICT;

-- A tenant's certificate and, under seal, its private key. It serves names that are bound to that tenant.
CREATE TABLE certificate (
    certificate_id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id      INTEGER NOT NULL REFERENCES tenant (tenant_id),
    chain          TEXT NOT NULL,
    sealed_key     BLOB NOT NULL,
    not_after      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX certificate_within_tenant ON certificate (tenant_id, certificate_id);
CREATE TABLE certificate_name (
    certificate_id INTEGER NOT NULL,
    tenant_id      INTEGER NOT NULL,
    name           TEXT NOT NULL,
    PRIMARY KEY (certificate_id, name),
    FOREIGN KEY (tenant_id, certificate_id) REFERENCES certificate (tenant_id, certificate_id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, name) REFERENCES server_name (tenant_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_name_used ON certificate_name (tenant_id, name);

-- Who did what. Without foreign keys: it outlives what it tells of.
CREATE TABLE audit (
    audit_id   INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    actor      TEXT NOT NULL CHECK (length(CAST(actor AS BLOB)) <= 200),
    action     TEXT NOT NULL,
    tenant_id  INTEGER,
    account_id INTEGER,
    session_id BLOB CHECK (length(session_id) = 16),
    client     TEXT,
    detail     TEXT NOT NULL CHECK (length(CAST(detail AS BLOB)) <= 1000)
) STRICT;
CREATE INDEX audit_of_tenant ON audit (tenant_id, audit_id);
CREATE INDEX audit_of_account ON audit (account_id, audit_id);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

-- A secret of this installation, for ever; and how often changed what a server keeps in memory or asks about.
CREATE TABLE installation (
    only_row          INTEGER PRIMARY KEY CHECK (only_row = 1),
    secret            BLOB NOT NULL CHECK (length(secret) = 32),
    roster_revision   INTEGER NOT NULL,
    standing_revision INTEGER NOT NULL
) STRICT;
INSERT INTO installation (only_row, secret, roster_revision, standing_revision) VALUES (1, randomblob(32), 1, 1);

CREATE TRIGGER roster_tenant_added AFTER INSERT ON tenant
    BEGIN UPDATE installation SET roster_revision = roster_revision + 1; END;
CREATE TRIGGER roster_tenant_changed AFTER UPDATE ON tenant
    BEGIN UPDATE installation SET roster_revision = roster_revision + 1; END;
CREATE TRIGGER roster_server_name_added AFTER INSERT ON server_name
    BEGIN UPDATE installation SET roster_revision = roster_revision + 1; END;
CREATE TRIGGER roster_server_name_removed AFTER DELETE ON server_name
    BEGIN UPDATE installation SET roster_revision = roster_revision + 1; END;
CREATE TRIGGER roster_certificate_added AFTER INSERT ON certificate
    BEGIN UPDATE installation SET roster_revision = roster_revision + 1; END;
CREATE TRIGGER roster_certificate_removed AFTER DELETE ON certificate
    BEGIN UPDATE installation SET roster_revision = roster_revision + 1; END;
CREATE TRIGGER standing_account_changed AFTER UPDATE OF state ON account
    BEGIN UPDATE installation SET standing_revision = standing_revision + 1; END;
CREATE TRIGGER standing_account_removed AFTER DELETE ON account
    BEGIN UPDATE installation SET standing_revision = standing_revision + 1; END;
CREATE TRIGGER standing_app_password_removed AFTER DELETE ON app_password
    BEGIN UPDATE installation SET standing_revision = standing_revision + 1; END;
