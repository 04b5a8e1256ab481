//! The binary as its users meet it: started as the README says, talked to by real clients, killed, misconfigured.

#![expect(clippy::unwrap_used, reason = "a test that meets trouble fails")]

mod canaries;
mod clients;
mod cluster;
mod command_line;
mod configuration;
mod dashboards;
mod durability;
mod far;
mod frontends;
mod logins;
mod machines;
mod observed;
mod operators;
mod outages;
mod plugins;
mod policies;
mod postfix;
mod rolling;
mod sasl;
mod scale;
mod serving;
mod storages;
mod support;
