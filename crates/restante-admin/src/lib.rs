//! The admin interface: metrics and health, the status page, the API with its OpenAPI document, and a client of it.
//!
//! Takes contracts and functions, names no technology, and knows sockets only as streams that `restante-net` hands
//! over. It serves no mail. Start at [`AdminService`]; for the other side at [`AdminClient`].

#![expect(unused_qualifications, reason = "utoipa's macros write them")]

mod address;
mod api;
mod caller;
mod client;
mod document;
mod extract;
mod facts;
mod gate;
mod limits;
mod ports;
mod probe;
mod problem;
pub mod seal;
mod serve;
mod service;
mod status;
mod text;
mod token;
mod wire;

pub use client::{AdminClient, AdminClientOptions, ClientFault};
pub use facts::{
    CertificateFacts, Health, ListenerFacts, LoginFacts, NodeFacts, PluginFacts, PluginState, SessionFacts,
    StorageFacts,
};
pub use limits::AdminLimits;
pub use ports::{AdminPorts, AnswerClass, Ask};
pub use problem::Problem;
pub use service::AdminService;
pub use token::{AdminToken, TokenFault, Tokens};
