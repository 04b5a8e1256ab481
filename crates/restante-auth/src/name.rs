//! Login names and addresses, normalised once.

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::UsernameCaseMapped;

/// A `local-part@domain` in the one form that is stored and compared: the local part by RFC 8265
/// UsernameCaseMapped, the domain as lower-case A-labels (IDNA).
///
/// Two names that differ only in case, width or the form of the domain are one name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LoginName {
    local_part: String,
    domain: String,
}

/// Why a text is no login name. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not UTF-8, or longer than 64 octets before and 253 after the `@`.
    #[error("a name is UTF-8, at most 64 octets before and 253 after the @")]
    Form,
    /// There is no `@`, or more than one, or nothing on one side of it.
    #[error("a name has the form local-part@domain, with exactly one @")]
    Shape,
    /// A character that RFC 8265 does not admit in a user name.
    #[error("the local part has characters that a user name must not have (RFC 8265)")]
    LocalPart,
    /// Not a domain name.
    #[error("the domain is not a valid domain name (IDNA)")]
    Domain,
}

impl LoginName {
    /// Normalises a name.
    ///
    /// # Errors
    /// [`NameError`] says what is wrong; nothing is stripped or repaired.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let (local_part, domain) = text.split_once('@').ok_or(NameError::Shape)?;
        if local_part.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(NameError::Shape);
        }
        Ok(Self {
            local_part: Self::local_part_form(local_part)?,
            domain: Self::domain_form(domain)?,
        })
    }

    /// Normalises the local part alone.
    ///
    /// # Errors
    /// [`NameError::Form`], [`NameError::LocalPart`].
    pub fn local_part_form(local_part: &str) -> Result<String, NameError> {
        if local_part.len() > 64 {
            return Err(NameError::Form);
        }
        let form = stable(local_part).ok_or(NameError::LocalPart)?;
        // Characters with a meaning in addresses, paths or templates elsewhere: never part of a user name here. Looked
        // for in the form, because wide ones become them.
        if form.contains([
            '@', '"', '\\', '/', '%', '!', '(', ')', '<', '>', ',', ';', ':', '[', ']', '{', '}',
        ]) {
            return Err(NameError::LocalPart);
        }
        // Lower case may be longer than upper case.
        if form.len() > 64 {
            return Err(NameError::Form);
        }
        // RFC 5321 section 4.1.2: a dot stands between two atoms.
        if form.split('.').any(str::is_empty) {
            return Err(NameError::LocalPart);
        }
        Ok(form)
    }

    /// Normalises a domain alone. One dot at the end is accepted and dropped.
    ///
    /// # Errors
    /// [`NameError::Form`], [`NameError::Domain`].
    pub fn domain_form(domain: &str) -> Result<String, NameError> {
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        if domain.len() > 253 {
            return Err(NameError::Form);
        }
        let form = idna::domain_to_ascii_strict(domain).map_err(|_| NameError::Domain)?;
        if idna::domain_to_ascii_strict(&form).ok().as_ref() != Some(&form) {
            return Err(NameError::Domain);
        }
        // An IPv4 address is made of labels too, but no top-level domain is a number.
        let is_address = form
            .rsplit('.')
            .next()
            .is_some_and(|label| label.bytes().all(|octet| octet.is_ascii_digit()));
        if is_address || form.len() > 253 {
            Err(NameError::Domain)
        } else {
            Ok(form)
        }
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        &self.domain
    }
}

impl std::fmt::Display for LoginName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.local_part, self.domain)
    }
}

/// Applies the rules until nothing changes any more, at most three times over; `None` if a name is refused on the way
/// or never comes to rest (RFC 8264 section 7). What is stored must be its own form: some letters are permitted while
/// their lower case is not.
fn stable(local_part: &str) -> Option<String> {
    if local_part.bytes().all(|octet| octet.is_ascii_graphic()) {
        // What the rules come to for nearly every name (RFC 8264 section 9.11): all is permitted, the case is mapped.
        return Some(local_part.to_ascii_lowercase());
    }
    let mut form = UsernameCaseMapped::enforce(local_part).ok()?.into_owned();
    for _ in 0..3 {
        let again = UsernameCaseMapped::enforce(form.as_str()).ok()?.into_owned();
        if again == form {
            return Some(form);
        }
        form = again;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ascii_are_what_the_rules_make_of_them() {
        let graphic = || (b'!'..=b'~').map(char::from);
        for first in graphic() {
            for second in graphic() {
                let name = String::from_iter([first, second]);
                let by_the_rules = UsernameCaseMapped::enforce(name.as_str()).unwrap();
                assert_eq!(stable(&name).as_deref(), Some(&*by_the_rules), "{name}");
            }
        }
        assert!(
            [" ", "\t", "a b", "\u{7f}"]
                .into_iter()
                .all(|name| stable(name).is_none())
        );
    }
}
