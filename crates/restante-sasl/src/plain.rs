//! PLAIN (RFC 4616): `[authzid] NUL authcid NUL passwd` in one response.

use restante_types::Secret;

use crate::{Claim, LoginMechanism, Mechanism, SaslError, SaslStep};

#[derive(Debug)]
pub(crate) struct Plain;

impl Mechanism for Plain {
    fn respond(&mut self, response: &[u8]) -> SaslStep {
        let mut parts = response.split(|octet| *octet == 0);
        let (Some(authzid), Some(authcid), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return SaslStep::Fail(SaslError::Malformed);
        };
        if authcid.is_empty() || password.is_empty() {
            return SaslStep::Fail(SaslError::Malformed);
        }
        if !authzid.is_empty() && authzid != authcid {
            return SaslStep::Fail(SaslError::Authorization);
        }
        SaslStep::Verify(Claim::Password {
            name: authcid.to_vec(),
            password: Secret::new(password.to_vec()),
            mechanism: LoginMechanism::Plain,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn respond(response: &[u8]) -> Result<(Vec<u8>, Vec<u8>), SaslError> {
        match Plain.respond(response) {
            SaslStep::Verify(Claim::Password { name, password, .. }) => Ok((name, password.expose().clone())),
            SaslStep::Fail(error) => Err(error),
            _ => panic!("PLAIN has one response"),
        }
    }

    /// The examples of RFC 4616 section 4.
    #[test]
    fn rfc_4616_examples() {
        assert_eq!(
            respond(b"\0tim\0tanstaaftanstaaf"),
            Ok((b"tim".to_vec(), b"tanstaaftanstaaf".to_vec()))
        );
        assert_eq!(respond(b"Ursel\0Kurt\0xipj3plmq"), Err(SaslError::Authorization));
    }

    #[test]
    fn a04_other_shapes_are_malformed() {
        let shapes: [&[u8]; 7] = [
            b"",
            b"tim",
            b"\0tim",
            b"\0\0pw",
            b"\0tim\0",
            b"a\0b\0c\0d",
            b"\0\0\0",
        ];
        for shape in shapes {
            assert_eq!(respond(shape), Err(SaslError::Malformed), "{shape:?}");
        }
    }

    #[test]
    fn the_same_identity_twice_is_no_impersonation() {
        assert!(respond(b"tim\0tim\0pw").is_ok());
    }
}
