//! The AUTH command's exchange of base64 lines (RFC 5034 section 4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use restante_types::Secret;

use crate::{ChannelBinding, Claim, LoginMechanism, MECHANISMS, Mechanism, Salting, SaslError, SaslStep};

/// An authentication exchange in progress: lines in, lines out.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Box<dyn Mechanism>,
}

/// What to do after a line.
#[derive(Debug)]
pub enum Turn {
    /// Send `+ ` and this base64 text, then hand the next line to [`Exchange::line`].
    Challenge(Exchange, String),
    /// Find the salt of the account of this name, then go on with [`Exchange::salted`]. See [`SaslStep::Salt`].
    Salt(Exchange, Vec<u8>),
    /// Decide on this claim, then go on with [`Exchange::granted`] or [`Exchange::refused`].
    Verify(Exchange, Claim),
    /// Refuse.
    Fail(SaslError),
}

impl Exchange {
    /// Begins an exchange by a mechanism that is offered on this connection, with the raw initial response of the AUTH
    /// command: base64, or `=` for an empty one. What is begun by another command than AUTH is refused.
    pub fn begin(mechanism: LoginMechanism, initial: Option<&[u8]>, binding: &ChannelBinding) -> Turn {
        let Some(row) = MECHANISMS.iter().find(|row| row.mechanism == mechanism) else {
            return Turn::Fail(SaslError::Refused);
        };
        let mut exchange = Self {
            mechanism: (row.start)(binding),
        };
        let step = match initial {
            None => exchange.mechanism.begin(None),
            Some(b"=") => exchange.mechanism.begin(Some(b"")),
            Some(line) => match decode(line) {
                Some(response) => exchange.mechanism.begin(Some(response.expose())),
                None => SaslStep::Fail(SaslError::Malformed),
            },
        };
        exchange.turn(step)
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

    /// Takes what [`Turn::Salt`] asked for.
    pub fn salted(mut self, salting: &Salting) -> Turn {
        let step = self.mechanism.salted(salting);
        self.turn(step)
    }

    /// The claim was granted: `None` if the login may be confirmed at once; else send `+ ` and this base64 text, and
    /// confirm the login only if [`Exchange::confirm`] agrees with the next line.
    pub fn granted(mut self, server_signature: Option<&[u8]>) -> Option<(Self, String)> {
        let challenge = self.mechanism.granted(server_signature)?;
        Some((self, STANDARD.encode(challenge)))
    }

    /// The claim was refused: `None` if the login may be refused at once; else send `+ ` and this base64 text, and
    /// refuse the login after the next line, whatever it says.
    pub fn refused(mut self) -> Option<String> {
        self.mechanism
            .refused()
            .map(|challenge| STANDARD.encode(challenge))
    }

    /// Takes the client's answer to the challenge of [`Exchange::granted`].
    ///
    /// # Errors
    ///
    /// The client cancels, as it does if the server's proof is wrong, or says anything: the only good answer is an
    /// empty line. (`=` stands for an empty response beside the AUTH command only, RFC 5034 section 4.)
    pub fn confirm(self, line: &[u8]) -> Result<(), SaslError> {
        match line {
            b"" => Ok(()),
            b"*" => Err(SaslError::Cancelled),
            _ => Err(SaslError::Malformed),
        }
    }

    fn turn(self, step: SaslStep) -> Turn {
        match step {
            SaslStep::Challenge(octets) => Turn::Challenge(self, STANDARD.encode(octets)),
            SaslStep::Salt { name } => Turn::Salt(self, name),
            SaslStep::Verify(claim) => Turn::Verify(self, claim),
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

    /// The first example of RFC 4616 section 4.
    const TIM: &[u8] = b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm";

    fn plain(initial: Option<&[u8]>) -> Turn {
        Exchange::begin(LoginMechanism::Plain, initial, &ChannelBinding::none())
    }

    fn challenged() -> Exchange {
        match plain(None) {
            Turn::Challenge(exchange, challenge) if challenge.is_empty() => exchange,
            other => panic!("an empty challenge first, not {other:?}"),
        }
    }

    fn fails(turn: &Turn) -> Option<SaslError> {
        match turn {
            Turn::Fail(error) => Some(*error),
            _ => None,
        }
    }

    #[test]
    fn plain_with_and_without_initial_response() {
        assert!(matches!(plain(Some(TIM)), Turn::Verify(..)));
        assert!(matches!(challenged().line(TIM), Turn::Verify(..)));
    }

    #[test]
    fn what_auth_does_not_begin_is_refused() {
        let turn = Exchange::begin(LoginMechanism::User, None, &ChannelBinding::none());
        assert_eq!(fails(&turn), Some(SaslError::Refused));
    }

    #[test]
    fn a04_a_star_cancels() {
        assert_eq!(fails(&challenged().line(b"*")), Some(SaslError::Cancelled));
        assert_eq!(challenged().confirm(b"*"), Err(SaslError::Cancelled));
    }

    #[test]
    fn a04_what_is_not_base64_is_malformed() {
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
            assert_eq!(
                fails(&challenged().line(line)),
                Some(SaslError::Malformed),
                "{line:?}"
            );
            assert_eq!(fails(&plain(Some(line))), Some(SaslError::Malformed), "{line:?}");
        }
    }

    #[test]
    fn a04_an_equals_sign_is_an_empty_response_beside_the_command_only() {
        let begin =
            |initial| Exchange::begin(LoginMechanism::External, Some(initial), &ChannelBinding::none());
        assert!(matches!(begin(b"="), Turn::Verify(..)));
        assert_eq!(fails(&challenged().line(b"=")), Some(SaslError::Malformed));
    }

    #[test]
    fn only_an_empty_line_confirms() {
        assert_eq!(challenged().confirm(b""), Ok(()));
        for line in [b"=".as_slice(), b"AA==", b" "] {
            assert_eq!(challenged().confirm(line), Err(SaslError::Malformed), "{line:?}");
        }
    }
}
