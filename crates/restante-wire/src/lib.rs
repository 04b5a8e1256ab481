//! The POP3 grammar in both directions, without I/O.
