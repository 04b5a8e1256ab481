//! LOGIN: a name and a password in two responses. Never standardised; Outlook and many devices know nothing else.

use restante_types::Secret;

use crate::{Claim, LoginMechanism, Mechanism, SaslError, SaslStep};

#[derive(Debug, Default)]
pub(crate) struct Login {
    name: Option<Vec<u8>>,
}

impl Mechanism for Login {
    fn begin(&mut self, initial: Option<&[u8]>) -> SaslStep {
        match initial {
            // Clients that send the name at once do not wait for the first prompt.
            Some(name) => self.respond(name),
            None => SaslStep::Challenge(b"Username:".to_vec()),
        }
    }

    fn respond(&mut self, response: &[u8]) -> SaslStep {
        if response.is_empty() {
            return SaslStep::Fail(SaslError::Malformed);
        }
        match self.name.take() {
            None => {
                self.name = Some(response.to_vec());
                SaslStep::Challenge(b"Password:".to_vec())
            }
            Some(name) => SaslStep::Verify(Claim::Password {
                name,
                password: Secret::new(response.to_vec()),
                mechanism: LoginMechanism::Login,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_then_password() {
        for initial in [None, Some(b"tim".as_slice())] {
            let mut login = Login::default();
            let mut step = login.begin(initial);
            if initial.is_none() {
                assert!(matches!(&step, SaslStep::Challenge(prompt) if prompt == b"Username:"));
                step = login.respond(b"tim");
            }
            assert!(matches!(&step, SaslStep::Challenge(prompt) if prompt == b"Password:"));
            let SaslStep::Verify(Claim::Password {
                name,
                password,
                mechanism,
            }) = login.respond(b"a b")
            else {
                panic!("both are there");
            };
            assert_eq!(
                (name.as_slice(), password.expose().as_slice(), mechanism),
                (&b"tim"[..], &b"a b"[..], LoginMechanism::Login)
            );
        }
    }

    #[test]
    fn an_empty_name_or_password_is_malformed() {
        let mut login = Login::default();
        assert!(matches!(
            login.begin(Some(b"")),
            SaslStep::Fail(SaslError::Malformed)
        ));
        let mut login = Login::default();
        assert!(matches!(login.begin(Some(b"tim")), SaslStep::Challenge(_)));
        assert!(matches!(login.respond(b""), SaslStep::Fail(SaslError::Malformed)));
    }
}
