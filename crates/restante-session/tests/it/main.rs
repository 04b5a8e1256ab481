//! The session as its driver and its client see it: transcripts, models, virtual time, hostile input.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

mod answers;
mod corpus;
mod memory;
mod model;
mod oracle;
mod secrets;
mod segments;
mod time;
mod trace;
mod traces;
mod world;
