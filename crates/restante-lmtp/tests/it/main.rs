//! LMTP over a stream in memory, with the memory back-ends behind it.

#![expect(clippy::unwrap_used, reason = "a test that meets trouble fails")]

mod chunks;
mod commands;
mod data;
mod endings;
mod recipients;
mod results;
mod world;
