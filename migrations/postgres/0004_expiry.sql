-- For tenants whose messages expire (EXPIRE, RFC 2449 section 6.7).
CREATE INDEX message_age ON message (tenant_id, received_at) WHERE deleted_at IS NULL;
