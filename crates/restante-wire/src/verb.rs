//! The command table: one row per verb, with its name and the grammar of its arguments.
//!
//! Does not know what a command does. To add a command, add a row here and a variant to [`crate::Command`].

use std::fmt;

use crate::arguments::{self, Grammar};

/// Declares [`Verb`] and its table together, so that no verb is without a name or a grammar.
macro_rules! command_table {
    ($($(#[$doc:meta])* $verb:ident $name:literal $grammar:path,)+) => {
        /// The first word of a command line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Verb {
            $($(#[$doc])* $verb,)+
        }

        impl Verb {
            /// Every verb, in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$verb,)+];

            /// The word as RFC 1939 writes it, in upper case.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$verb => $name,)+
                }
            }

            /// How the rest of the line is read.
            pub(crate) const fn grammar(self) -> Grammar {
                match self {
                    $(Self::$verb => $grammar,)+
                }
            }
        }
    };
}

command_table! {
    /// Starts a SASL exchange, RFC 5034 section 4.
    Auth "AUTH" arguments::auth,
    /// Lists the capabilities, RFC 2449 section 5.
    Capa "CAPA" arguments::capa,
    /// Marks a message as deleted, RFC 1939 section 5.
    Dele "DELE" arguments::dele,
    /// Lists or selects the language of texts, RFC 6856 section 3.
    Lang "LANG" arguments::lang,
    /// Sizes of messages, RFC 1939 section 5.
    List "LIST" arguments::list,
    /// Does nothing, RFC 1939 section 5.
    Noop "NOOP" arguments::noop,
    /// The password, RFC 1939 section 7.
    Pass "PASS" arguments::pass,
    /// Ends the session, RFC 1939 sections 4 and 6.
    Quit "QUIT" arguments::quit,
    /// Sends a message, RFC 1939 section 5.
    Retr "RETR" arguments::retr,
    /// Takes the deletion marks back, RFC 1939 section 5.
    Rset "RSET" arguments::rset,
    /// Number and size of the maildrop, RFC 1939 section 5.
    Stat "STAT" arguments::stat,
    /// Starts TLS, RFC 2595 section 4.
    Stls "STLS" arguments::stls,
    /// Sends the header section and some lines of the body, RFC 1939 section 7.
    Top "TOP" arguments::top,
    /// Lists unique-ids, RFC 1939 section 7.
    Uidl "UIDL" arguments::uidl,
    /// The user name, RFC 1939 section 7.
    User "USER" arguments::user,
    /// Switches to UTF-8 mode, RFC 6856 section 2.
    Utf8 "UTF8" arguments::utf8,
}

impl Verb {
    /// Finds the verb that a word names, in upper or lower case.
    pub(crate) fn named(word: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|verb| verb.as_str().as_bytes().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
