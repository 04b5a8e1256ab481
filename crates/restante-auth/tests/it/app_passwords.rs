//! Application passwords: how they are typed, and what is stored of them.

use proptest::prelude::*;
use restante_auth::Keyring;
use restante_auth::password::AppPassword;

const FIRST: &str = "1:0101010101010101010101010101010101010101010101010101010101010101\n";
const SECOND: &str = "2:0202020202020202020202020202020202020202020202020202020202020202\n";

#[test]
fn an_app_password_is_read_however_it_is_typed() {
    let (shown, made) = AppPassword::generate().unwrap();
    let groups: Vec<&str> = shown.expose().split('-').collect();
    assert_eq!(groups.iter().map(|group| group.len()).collect::<Vec<_>>(), [4; 5]);
    let verifier = made.verifier(None);
    for typed in [
        shown.expose().clone(),
        shown.expose().to_uppercase(),
        shown.expose().replace('-', ""),
        shown.expose().replace('-', " "),
        format!(" {} ", shown.expose()),
    ] {
        let parsed = AppPassword::parse(typed.as_bytes()).unwrap();
        assert!(parsed.matches(verifier.expose(), None));
    }
    let (other, _) = AppPassword::generate().unwrap();
    assert_ne!(other.expose(), shown.expose());
    assert!(
        !AppPassword::parse(other.expose().as_bytes())
            .unwrap()
            .matches(verifier.expose(), None)
    );
}

#[test]
fn what_is_no_app_password_is_not_taken_for_one() {
    for octets in [
        &b""[..],
        b"correct horse battery",
        b"abcd-efgh-jkmn-pqrs-tuv",
        b"abcd-efgh-jkmn-pqrs-tuvwx",
        b"abcd-efgh-jkmn-pqrs-tuv0",
        b"abcd_efgh_jkmn_pqrs_tuvw",
        b"abcd-efgh-jkmn-pqrs-tuv\xff",
        b"abcd                                                        efghjkmnpqrstuvw",
    ] {
        assert!(AppPassword::parse(octets).is_none(), "{octets:?}");
    }
}

#[test]
fn the_verifier_of_an_app_password_survives_a_rotation_and_needs_its_pepper() {
    let app = AppPassword::parse(b"abcd-efgh-jkmn-pqrs-tuvw").unwrap();
    let [first, both, second] =
        [FIRST, &format!("{FIRST}{SECOND}"), SECOND].map(|keys| Keyring::parse(keys).unwrap());
    let bare = app.verifier(None);
    assert_eq!(
        bare.expose(),
        "1$0$8817c65dd6c5327687200bb9d63bfbfa026e05bbf201b7b3c96609a5b22ac459",
        "SHA-256 of the letters"
    );
    let peppered = app.verifier(Some(&first));
    assert!(peppered.expose().starts_with("1$1$"));
    assert!(app.verifier(Some(&both)).expose().starts_with("1$2$"));
    assert!(app.matches(peppered.expose(), Some(&first)));
    assert!(app.matches(peppered.expose(), Some(&both)));
    assert!(app.matches(bare.expose(), Some(&both)));
    assert!(!app.matches(peppered.expose(), Some(&second)));
    assert!(!app.matches(peppered.expose(), None));
    assert!(!app.matches(&peppered.expose().replacen("1$1$", "1$0$", 1), Some(&first)));
    for malformed in [
        "",
        "1$0$",
        "1$0$00",
        "2$0$8817c65dd6c5327687200bb9d63bfbfa026e05bbf201b7b3c96609a5b22ac459",
        "1$x$8817c65dd6c5327687200bb9d63bfbfa026e05bbf201b7b3c96609a5b22ac459",
        "1$256$8817c65dd6c5327687200bb9d63bfbfa026e05bbf201b7b3c96609a5b22ac459",
    ] {
        assert!(!app.matches(malformed, None), "{malformed}");
    }
}

#[test]
fn an_app_password_is_not_shown_by_debug() {
    let (shown, app) = AppPassword::generate().unwrap();
    assert_eq!(format!("{shown:?} {app:?}"), "*** AppPassword(***)");
}

proptest! {
    #[test]
    fn app_passwords_are_recognised_cheaply_and_exactly(
        octets in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "[a-km-np-zA-KM-NP-Z2-9 -]{18,28}".prop_map(String::into_bytes),
            "[a-zA-Z0-9]{20}".prop_map(String::into_bytes),
        ],
    ) {
        let letters = octets.iter().filter(|octet| !matches!(octet, b'-' | b' '));
        let possible = letters.clone().count() == 20
            && letters.clone().all(|octet| octet.is_ascii_alphanumeric() && !b"01loLO".contains(octet));
        prop_assert_eq!(AppPassword::parse(&octets).is_some(), possible);
    }
}
