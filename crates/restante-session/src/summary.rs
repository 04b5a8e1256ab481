//! What a session did, for the one record at its end.

use restante_types::Octets;

/// Counters of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionSummary {
    /// Command lines, valid or not.
    pub n_commands: u64,
    /// Lines that were no command, or not one of that state.
    pub n_bad_commands: u32,
    /// Logins that were refused.
    pub n_refused_logins: u32,
    /// Messages sent whole (RETR).
    pub n_retrieved: u64,
    /// Their octets, before dot-stuffing.
    pub retrieved: Octets,
    /// Message tops sent (TOP).
    pub n_tops: u64,
    /// Messages in the maildrop when it was opened.
    pub n_messages: usize,
    /// Their octets.
    pub maildrop: Octets,
    /// Messages removed by UPDATE.
    pub n_deleted: usize,
}
