//! From accept to a clean stream; knows no mail.
//!
//! Owns every socket of the server: listeners, the PROXY header, TLS, the budget of connections and the drain. It
//! speaks no protocol above TLS: the text of a refusal is handed in by the caller. Start at [`serve`], which hands
//! an [`Accepted`] connection to a handler; [`TlsStack::accept`] turns its stream, at once or after STLS, into TLS.

mod activation;
mod budget;
mod descriptors;
mod drain;
mod listener;
mod octets;
mod paced;
mod proxy;
mod serve;
mod stream;
mod tls;

pub use activation::PassedSockets;
pub use budget::{BudgetLimits, BudgetUsage, ConnectionBudget, Permit, Refusal};
pub use descriptors::{open_file_limit, raise_open_file_limit};
pub use drain::{Drain, DrainReport, DrainSignal, HURRIED_DEADLINE};
pub use listener::{BindError, ListenAddress, Listener, ListenerSpec, bind};
pub use octets::{CountedStream, StreamOctets};
pub use paced::{PacedStream, RateFloor};
pub use proxy::{ProxyError, ProxyInfo, ProxyPolicy, read_proxy_header};
pub use serve::{AcceptEvent, AcceptRules, Accepted, serve};
pub use stream::{MaybeTls, Stream};
pub use tls::{
    CertificateError, CertificateFiles, CertificateNotice, CertificateReport, CertificateStatus,
    CertificateStore, ClientAuthority, HandshakeError, HandshakeFault, HandshakeInfo, HeldPair, PairFacts,
    TlsFloor, TlsSettings, TlsSetupError, TlsStack, TlsStream, TlsVersion, UnknownName, pairs_in,
};
