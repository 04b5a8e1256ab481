//! The AUTH command's exchange of base64 lines (RFC 5034 section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_types::Secret;

use crate::{Claim, MECHANISMS, Mechanism, SaslError, SaslStep};

/// An authentication exchange in progress: lines in, lines out.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Box<dyn Mechanism>,
}

/// What to do after a line.
#[derive(Debug)]
pub enum Turn {
    /// Send `+ ` and this base64 text, then hand the next line to the exchange.
    Challenge(Exchange, String),
    /// Decide on this claim.
    Verify(Claim),
    /// Refuse.
    Fail(SaslError),
}

impl Exchange {
    /// Begins an exchange by the mechanism of that name, with the raw initial response of the AUTH command: base64,
    /// or `=` for an empty one. `None` if there is no such mechanism.
    pub fn begin(mechanism: &str, initial: Option<&[u8]>) -> Option<Turn> {
        let row = MECHANISMS.iter().find(|row| row.name == mechanism)?;
        let mut exchange = Self {
            mechanism: (row.start)(),
        };
        let step = match initial {
            None => exchange.mechanism.begin(None),
            Some(b"=") => exchange.mechanism.begin(Some(b"")),
            Some(line) => match decode(line) {
                Some(response) => exchange.mechanism.begin(Some(response.expose())),
                None => SaslStep::Fail(SaslError::Malformed),
            },
        };
        Some(exchange.turn(step))
    }

    /// Takes the client's next line, without its CRLF.
    pub fn line(mut self, line: &[u8]) -> Turn {
        if line == b"*" {
            return Turn::Fail(SaslError::Cancelled);
        }
        match decode(line) {
            Some(response) => {
                let step = self.mechanism.respond(response.expose());
                self.turn(step)
            }
            None => Turn::Fail(SaslError::Malformed),
        }
    }

    fn turn(self, step: SaslStep) -> Turn {
        match step {
            SaslStep::Challenge(octets) => Turn::Challenge(self, STANDARD.encode(octets)),
            SaslStep::Verify(claim) => Turn::Verify(claim),
            SaslStep::Fail(error) => Turn::Fail(error),
        }
    }
}

/// Strict base64: padding only at the end and as prescribed (RFC 5034 section 4, RFC 4648 section 4).
fn decode(line: &[u8]) -> Option<Secret<Vec<u8>>> {
    STANDARD.decode(line).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(turn: &Turn) -> Option<SaslError> {
        match turn {
            Turn::Fail(error) => Some(*error),
            _ => None,
        }
    }

    #[test]
    fn plain_with_and_without_initial_response() {
        let with = Exchange::begin("PLAIN", Some(b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm")).unwrap();
        assert!(matches!(with, Turn::Verify(_)));
        let Turn::Challenge(exchange, challenge) = Exchange::begin("PLAIN", None).unwrap() else {
            panic!("an empty challenge first");
        };
        assert_eq!(challenge, "");
        assert!(matches!(
            exchange.line(b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm"),
            Turn::Verify(_)
        ));
    }

    #[test]
    fn unknown_mechanisms_do_not_begin() {
        for name in ["", "CRAM-MD5", "APOP", "NTLM", "plain"] {
            assert!(Exchange::begin(name, None).is_none(), "{name}");
        }
    }

    #[test]
    fn a_star_cancels() {
        let Turn::Challenge(exchange, _) = Exchange::begin("PLAIN", None).unwrap() else {
            panic!()
        };
        assert_eq!(fails(&exchange.line(b"*")), Some(SaslError::Cancelled));
    }

    #[test]
    fn what_is_not_base64_is_malformed() {
        let lines: [&[u8]; 8] = [
            b"=AAA",
            b"AAA=BBB",
            b"A",
            b"AAA",
            b"A A=",
            b"STLS",
            b"\xff\xfe\xfd\xfc",
            b"AHRpbQB0YW5==",
        ];
        for line in lines {
            let Turn::Challenge(exchange, _) = Exchange::begin("PLAIN", None).unwrap() else {
                panic!()
            };
            assert_eq!(
                fails(&exchange.line(line)),
                Some(SaslError::Malformed),
                "{line:?}"
            );
            assert_eq!(
                fails(&Exchange::begin("PLAIN", Some(line)).unwrap()),
                Some(SaslError::Malformed),
                "{line:?}"
            );
        }
    }

    #[test]
    fn an_equals_sign_is_an_empty_initial_response() {
        assert_eq!(
            fails(&Exchange::begin("PLAIN", Some(b"=")).unwrap()),
            Some(SaslError::Malformed)
        );
    }
}
