//! What a client on a real socket sees of `restante-net`.

#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail the test")]

mod certificates;
mod handshake;
mod hostile_hello;
mod resumption;
mod serve;
mod support;
