//! The async driver: session, stream and contracts.
