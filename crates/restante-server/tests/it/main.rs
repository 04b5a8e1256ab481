//! The server over real sockets, with memory behind it. A test that answers a row of the list of bad inputs and
//! faults bears its id: s for TLS, n for the line parser, l for commands and data, f for faults.

#![expect(clippy::unwrap_used, reason = "a test that meets trouble fails")]

mod bodies;
mod data;
mod drain;
mod identity;
mod isolation;
mod lines;
mod logs;
mod oversight;
mod support;
mod tls;
mod update;
