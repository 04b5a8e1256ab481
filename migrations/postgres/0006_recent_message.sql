-- What came with de-duplication in the last 24 hours, whatever became of it since: a message with the same digest is
-- a repeat of it.
CREATE TABLE recent_message (
    maildrop_id bigint NOT NULL REFERENCES maildrop (maildrop_id),
    sha256      bytea NOT NULL CHECK (length(sha256) = 32),
    unique_id   text COLLATE "C" NOT NULL CHECK (unique_id ~ '^[!-~]{1,70}$'),
    received_at timestamptz NOT NULL,
    PRIMARY KEY (maildrop_id, sha256)
);
CREATE INDEX recent_message_age ON recent_message (received_at);
