-- How often messages of the maildrop were changed otherwise than by a delivery: removed, restored or moved to another
-- storage. Whoever has an earlier listing of the same revision reads what was delivered since, and no more.
ALTER TABLE maildrop ADD COLUMN revision bigint NOT NULL DEFAULT 0;
