//! The admin interface over real directories, mostly without a socket; where sockets matter, on loopback.

#![expect(clippy::unwrap_used, reason = "a test that meets trouble fails")]

mod accounts;
mod audit;
mod browser;
mod certificates;
mod client;
mod desk;
mod document;
mod hostile;
mod pages;
mod plugins;
mod problems;
mod scoping;
mod serving;
mod sessions;
mod status;
mod tenants;
mod tokens;
mod twins;
mod world;
