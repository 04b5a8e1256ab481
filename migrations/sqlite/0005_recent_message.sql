-- What came with de-duplication in the last 24 hours, whatever became of it since: a message with the same digest is
-- a repeat of it.
CREATE TABLE recent_message (
    maildrop_id INTEGER NOT NULL REFERENCES maildrop (maildrop_id),
    sha256      BLOB NOT NULL CHECK (length(sha256) = 32),
    unique_id   TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (maildrop_id, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX recent_message_age ON recent_message (received_at);
