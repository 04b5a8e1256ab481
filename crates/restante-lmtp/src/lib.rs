//! Delivery in, by LMTP (RFC 2033).
