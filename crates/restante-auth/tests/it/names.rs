//! Login names: one form for what is one name, and no form for what could be taken for something else.

use proptest::prelude::*;
use restante_auth::{LoginName, NameError};

fn form(text: &str) -> Result<String, NameError> {
    LoginName::parse(text).map(|name| name.to_string())
}

#[test]
fn case_width_and_form_of_the_domain_do_not_matter() {
    for text in [
        "alice@example.com",
        "Alice@EXAMPLE.com",
        "ALICE@example.com.",
        "ａｌｉｃｅ@example.com",
        "alice@ｅｘａｍｐｌｅ.com",
    ] {
        assert_eq!(form(text).as_deref(), Ok("alice@example.com"), "{text}");
    }
    for text in [
        "jörg@bücher.example",
        "JÖRG@BÜCHER.example",
        "jo\u{308}rg@xn--bcher-kva.example",
    ] {
        assert_eq!(form(text).as_deref(), Ok("jörg@xn--bcher-kva.example"), "{text}");
    }
}

#[test]
fn letters_that_look_alike_stay_apart_or_are_refused() {
    assert_eq!(
        form("stra\u{df}e@example.com").as_deref(),
        Ok("stra\u{df}e@example.com")
    );
    assert_ne!(form("stra\u{df}e@example.com"), form("strasse@example.com"));
    assert_ne!(form("\u{131}@example.com"), form("i@example.com"), "dotless i");
    assert_eq!(
        form("\u{212a}@example.com"),
        Err(NameError::LocalPart),
        "Kelvin sign"
    );
}

#[test]
fn invisible_and_turning_characters_are_refused() {
    for c in [
        '\u{200d}', '\u{200b}', '\u{202e}', '\u{2066}', '\u{feff}', '\u{0}', '\n', '\r', '\t', ' ', '\u{a0}',
    ] {
        assert_eq!(
            form(&format!("al{c}ice@example.com")),
            Err(NameError::LocalPart),
            "{c:?}"
        );
    }
}

#[test]
fn shapes_that_are_not_one_at_are_refused() {
    for text in ["", "alice", "@", "@b", "a@", "a@b@c", "a@@b", "a@b@"] {
        assert_eq!(form(text), Err(NameError::Shape), "{text}");
    }
}

#[test]
fn characters_with_a_meaning_elsewhere_are_refused() {
    let local_parts = [
        "\"a b\"",
        "a%b",
        "a!b",
        "../../etc/passwd",
        "..%2f",
        "C:\\",
        "a/b",
        "*)(uid=*",
        "\"; DROP",
        "{{7*7}}",
        "%u",
        "a,b",
        "a;b",
        "<a>",
        "[a]",
    ];
    for local_part in local_parts {
        assert_eq!(
            form(&format!("{local_part}@example.com")),
            Err(NameError::LocalPart),
            "{local_part}"
        );
    }
}

/// RFC 5321 section 4.1.2: a dot stands between two atoms.
#[test]
fn dots_at_the_ends_or_in_a_row_are_refused() {
    for local_part in [".", "..", ".a", "a.", "a..b", "\u{ff0e}a"] {
        assert_eq!(
            form(&format!("{local_part}@example.com")),
            Err(NameError::LocalPart),
            "{local_part}"
        );
    }
    assert!(form("a.b.c@example.com").is_ok());
}

#[test]
fn what_is_no_domain_name_is_refused() {
    let domains = [
        ".",
        "..",
        "a..b",
        ".example.com",
        "example..",
        "exa mple.com",
        "-a.example",
        "a-.example",
        "a_b.example",
        "[127.0.0.1]",
        "127.0.0.1",
        "::1",
        "xn--a",
        "xn--zzzzzzzz",
        "a\u{0}b.example",
        "a/b.example",
        "a%b.example",
        "\u{202e}a.example",
        "a:25",
    ];
    for domain in domains {
        assert_eq!(
            form(&format!("alice@{domain}")),
            Err(NameError::Domain),
            "{domain}"
        );
    }
}

#[test]
fn lengths_are_bounded_before_and_after_normalisation() {
    assert!(form(&format!("{}@example.com", "a".repeat(64))).is_ok());
    assert_eq!(
        form(&format!("{}@example.com", "a".repeat(65))),
        Err(NameError::Form)
    );
    assert_eq!(
        form(&format!("{}@example.com", "a".repeat(300))),
        Err(NameError::Form)
    );
    assert_eq!(
        form(&format!("a{}@example.com", "\u{301}".repeat(200))),
        Err(NameError::Form)
    );
    assert_eq!(form(&format!("a@{}.com", "a".repeat(300))), Err(NameError::Form));
    assert_eq!(form(&format!("a@{}.com", "a".repeat(64))), Err(NameError::Domain));
    // A capital I with a dot is two octets; in lower case it is three.
    let grown = form(&format!("{}@example.com", "\u{130}".repeat(32)));
    assert!(grown.is_err(), "{grown:?}");
}

#[test]
fn a_letter_whose_lower_case_is_not_permitted_is_refused() {
    // CHEROKEE LETTER A: in the tables of PRECIS, its lower case is not.
    assert_eq!(form("\u{13a0}@example.com"), Err(NameError::LocalPart));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn a_normalised_name_is_its_own_form(local_part in "\\PC{1,12}", domain in "[\\PC.]{1,20}") {
        if let Ok(name) = LoginName::parse(&format!("{local_part}@{domain}")) {
            prop_assert_eq!(LoginName::parse(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn letters_of_many_scripts_have_one_form(local_part in "[a-zA-ZÀ-žͰ-Ͽа-яА-Яa-z0-9.İẞﬀａ-ｚ]{1,16}") {
        if let Ok(name) = LoginName::parse(&format!("{local_part}@example.com")) {
            prop_assert_eq!(LoginName::parse(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn no_form_has_a_dangerous_octet(text in "\\PC{0,30}") {
        if let Ok(name) = LoginName::parse(&text) {
            let form = name.to_string();
            prop_assert_eq!(form.matches('@').count(), 1);
            prop_assert!(!form.contains(['/', '\\', '"', '%', ' ', '\0', '\r', '\n']), "{}", form);
            prop_assert!(name.domain().bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.')));
        }
    }
}
