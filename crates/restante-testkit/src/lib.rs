//! Fixtures: a server under test, a POP3 client, real services on loopback.
