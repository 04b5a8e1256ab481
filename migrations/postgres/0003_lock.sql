-- One session per maildrop over all frontends. Safety is the token: it only grows, and the statement that deletes
-- compares it. Everything else decides who may open next.

-- The number of a frontend's start; a later start has a larger one.
CREATE SEQUENCE incarnation AS bigint;

-- One row per start of a frontend. It is renewed as a whole, however many sessions the frontend has.
CREATE TABLE frontend (
    node        text COLLATE "C" NOT NULL CHECK (length(node) BETWEEN 1 AND 255),
    incarnation bigint NOT NULL,
    expires_at  timestamptz NOT NULL,
    PRIMARY KEY (node, incarnation)
) WITH (fillfactor = 50);

-- Made when a maildrop is first opened and never removed, so that its token never starts again. Not a column of
-- maildrop, whose row every delivery changes. No index but the key, so that opening and closing leave no dead
-- index entries.
CREATE TABLE maildrop_lock (
    maildrop_id   bigint PRIMARY KEY,
    tenant_id     bigint NOT NULL,
    token         bigint NOT NULL CHECK (token > 0),
    session_id    bytea CHECK (length(session_id) = 16),
    node          text COLLATE "C" NOT NULL,
    incarnation   bigint NOT NULL,
    opened_at     timestamptz NOT NULL,
    hard_deadline timestamptz NOT NULL,
    FOREIGN KEY (tenant_id, maildrop_id) REFERENCES maildrop (tenant_id, maildrop_id)
) WITH (fillfactor = 60);
