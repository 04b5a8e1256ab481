//! Stored passwords: our own hashes, and those that imports bring. The vectors are of Dovecot's `doveadm pw` (libxcrypt,
//! libsodium), of RFC 7677 and of argon2's reference implementation.

use std::sync::Arc;

use proptest::prelude::*;
use restante_auth::Keyring;
use restante_auth::password::{
    self, HashError, HashParams, Password, Rule, SCRAM_ITERATIONS, Scheme, ScramKeys, Verified,
};
use restante_types::Secret;

const QUICK: HashParams = HashParams {
    memory_kib: 32,
    iterations: 2,
    parallelism: 2,
};

const FIRST: &str = "1:0101010101010101010101010101010101010101010101010101010101010101\n";
const SECOND: &str = "2:0202020202020202020202020202020202020202020202020202020202020202\n";

/// The password of every imported vector.
const IMPORTED: &str = "Grüße, horse 1";

const VECTORS: &[(&str, Scheme)] = &[
    (
        "{SHA512-CRYPT}$6$rounds=1000$2rD26zysEnxwS.ve$Eo3Pnq1A6fN.cGSwhBVOHl86vsQlaWiKr0oMGKezfNa2qHSB660EdG8XJPVLaujxD.YKPGCz9aEsjH4XtJ4gZ0",
        Scheme::Sha512Crypt,
    ),
    (
        "$6$rounds=1000$SSaOGJtq7Gcs2mwl$pYdAhDK79jo3zv7BXE4homdjy5uIbDScyyU./fc6Lds5NwjyLzMwnSwNpL.JUkZ4e0vCRZvVI9yWYRzoDgMWl1",
        Scheme::Sha512Crypt,
    ),
    (
        "{SHA512-CRYPT.B64}JDYkcm91bmRzPTEwMDAkRkR2SUFWN1YyZzB4T2FtUiRhbU1GWnlmNlY1T1hJL0k3RC9mZnpZU3lKU0lrQU80LjlHa2hPek1KMXhFWEJ4S29jU3dyOUZ5ZEZmcGNzcnhRSmdoL2hULlh6VHVWQmVwbzI1NTdQLg==",
        Scheme::Sha512Crypt,
    ),
    (
        "{SHA256-CRYPT}$5$rounds=1000$ccVcMZQggQuj4RcK$A4fmMruLXLgtHyU/cfe4m0EjU0FcpAX/soYl8yAiX13",
        Scheme::Sha256Crypt,
    ),
    (
        "{SHA256-CRYPT}$5$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        Scheme::Sha256Crypt,
    ),
    (
        "{CRYPT}$5$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        Scheme::Sha256Crypt,
    ),
    (
        "{BLF-CRYPT}$2y$05$Ca/SIHgSuoVgWyjRmwFSl.No7ySc47VcnLy.RqJ8IBih182u6KbtC",
        Scheme::Bcrypt,
    ),
    (
        "{CRYPT}$2y$05$rRHgSe80mnLqSbaahKzDEeWGCbEJPgwucCbYswpQ3t5JKwrW2w0ua",
        Scheme::Bcrypt,
    ),
    (
        "{crypt}$2b$05$rRHgSe80mnLqSbaahKzDEeWGCbEJPgwucCbYswpQ3t5JKwrW2w0ua",
        Scheme::Bcrypt,
    ),
    (
        "$2a$05$rRHgSe80mnLqSbaahKzDEeWGCbEJPgwucCbYswpQ3t5JKwrW2w0ua",
        Scheme::Bcrypt,
    ),
    ("{SSHA}/C0FGU3U52gmfX/ipqkcM3D9D3YcR4yr", Scheme::SaltedSha1),
    ("{SSHA.b64}FZpJgKCMYBYVS9S76VT+bp5bq+PQDDTK", Scheme::SaltedSha1),
    (
        "{SSHA256}D5PbMnFrrHUHf6dmL5xXrO4eEB+Q7Gtyl/i93YsEFc7l+MKd",
        Scheme::SaltedSha256,
    ),
    (
        "{SSHA256.HEX}fd638891e8e8fa3b3d2d3513a5223a1a80b6fea71d79d93f5bf827b02fcb9a492b98b307",
        Scheme::SaltedSha256,
    ),
    (
        "{SSHA512}ncl03Tl1PQ2K+XzXAgmgwjy0oRRK9TWHiWPApDMgREc2RtSYCk+FR7AhVC6mpXL05xmfCrW9tcaQ71/0Zj3/Asf2f8g=",
        Scheme::SaltedSha512,
    ),
    ("{SHA}t/r3LOsrlFvJdMBG8i8/0gksmsw=", Scheme::Sha1),
    ("{SHA1}t/r3LOsrlFvJdMBG8i8/0gksmsw=", Scheme::Sha1),
    ("{SHA1.HEX}b7faf72ceb2b945bc974c046f22f3fd2092c9acc", Scheme::Sha1),
    ("{SHA1}b7faf72ceb2b945bc974c046f22f3fd2092c9acc", Scheme::Sha1),
    (
        "{sha256}XOaEIc82ezSv3E1U3JWQIltBtpiXyutYqXJM6PBJdSw=",
        Scheme::Sha256,
    ),
    (
        "{SHA256}XOaEIc82ezSv3E1U3JWQIltBtpiXyutYqXJM6PBJdSw",
        Scheme::Sha256,
    ),
    (
        "{SHA256.HEX}5ce68421cf367b34afdc4d54dc9590225b41b69897caeb58a9724ce8f049752c",
        Scheme::Sha256,
    ),
    (
        "{SHA512}YYU5IvQJSKwN7oAqfGUNzpISrk2e9SlpVxG2kM5pk7t0QQaYC6RQ0GTpH8IFe873nxkZoK2cniaP8hniQJ53tQ==",
        Scheme::Sha512,
    ),
    (
        "{PBKDF2}$1$Y7RHhe1Rtwmumw0D$5000$5326cbb73ff767040822de92b69d88e21fc60f8f",
        Scheme::Pbkdf2,
    ),
    (
        "{PBKDF2}$1$ReV5Tdk5euMtDnLs$1000$77d1057605cd5c4c1cedcb774416860364a3f527",
        Scheme::Pbkdf2,
    ),
    ("{PLAIN}Grüße, horse 1", Scheme::Plain),
    ("{CLEARTEXT}Grüße, horse 1", Scheme::Plain),
    ("{PLAIN.B64}R3LDvMOfZSwgaG9yc2UgMQ==", Scheme::Plain),
    (
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$ZOjh0N/LG565Ja7x1+YYYQ$+rIpdPQXSDlnzmn6vo1x8ydBb8+L+btoZb1gkeR1axY",
        Scheme::Argon2id,
    ),
    (
        "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$L/wvkXJv5Gtd4vZRukHfZw$Opeqyh8ORtQKEY2NTF+z5GjKcCpFR/NZqAxlCjjJat0",
        Scheme::Argon2i,
    ),
    (
        "$argon2i$v=19$m=32768,t=3,p=1$AmG/CcC7g20HU71WityrvQ$uuyhYrVT4xkNt8CRQfMBcg9noHP0jxHRo8JC/kL4TLI",
        Scheme::Argon2i,
    ),
    (
        "{SCRAM-SHA-256}4096,eqKmEQ5rnA5XjrNBsRLD8Q==,t+vYBm4qr5vpDWzjZTocTORIBr/kkbs73XuiXL0eDYM=,sJ5yVKqAVH6JbnVxPCB8iI+5nXlT50xQaJpoaxubopo=",
        Scheme::ScramSha256,
    ),
];

fn prepared(text: &str) -> Password {
    Password::prepare(text.as_bytes()).unwrap()
}

fn keyring(text: &str) -> Arc<Keyring> {
    Arc::new(Keyring::parse(text).unwrap())
}

fn rule(params: HashParams, keys: &str) -> Rule {
    Rule {
        params,
        keyring: (!keys.is_empty()).then(|| keyring(keys)),
    }
}

fn hashed(text: &str, rule: &Rule) -> Secret<String> {
    password::hash(&prepared(text), rule).unwrap()
}

fn verify_by(stored: &str, tried: &str, rule: &Rule) -> Result<Verified, HashError> {
    let raw = Secret::new(tried.as_bytes().to_vec());
    password::verify(&Secret::new(stored.to_owned()), &prepared(tried), &raw, rule)
}

fn verify(stored: &str, tried: &str) -> Result<Verified, HashError> {
    verify_by(stored, tried, &rule(QUICK, ""))
}

const DUE: Result<Verified, HashError> = Ok(Verified::Matched { rehash: true });
const MATCHED: Result<Verified, HashError> = Ok(Verified::Matched { rehash: false });
const MISMATCHED: Result<Verified, HashError> = Ok(Verified::Mismatched);

#[test]
fn the_right_password_matches_and_no_other() {
    for rule in [rule(QUICK, ""), rule(QUICK, FIRST)] {
        let stored = hashed("correct horse", &rule);
        let verify = |tried| verify_by(stored.expose(), tried, &rule);
        assert_eq!(verify("correct horse"), MATCHED);
        for wrong in ["correct  horse", "Correct horse", "correct horse ", "x"] {
            assert_eq!(verify(wrong), MISMATCHED, "{wrong}");
        }
    }
}

#[test]
fn a_hash_is_a_phc_string_that_names_its_pepper() {
    let bare = hashed("a", &rule(QUICK, ""));
    assert!(bare.expose().starts_with("$argon2id$v=19$m=32,t=2,p=2$"));
    let peppered = hashed("a", &rule(QUICK, FIRST));
    assert!(
        peppered
            .expose()
            .starts_with("$argon2id$v=19$m=32,t=2,p=2,keyid=AQ$")
    );
    assert_eq!(password::inspect(peppered.expose()), Ok(Scheme::Own));
    assert_ne!(
        hashed("a", &rule(QUICK, "")).expose(),
        bare.expose(),
        "the salt is random"
    );
}

#[test]
fn a03_composed_and_decomposed_letters_are_one_password() {
    assert_eq!(
        verify(hashed("caf\u{e9}", &rule(QUICK, "")).expose(), "cafe\u{301}"),
        MATCHED
    );
    assert_eq!(
        verify(hashed("cafe\u{301}", &rule(QUICK, "")).expose(), "caf\u{e9}"),
        MATCHED
    );
}

/// `password`, `somesalt`, t=2, m=2^16, p=1.
#[test]
fn a_hash_of_the_reference_implementation_is_verified() {
    let stored = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
    assert!(matches!(verify(stored, "password"), Ok(Verified::Matched { .. })));
    assert_eq!(verify(stored, "Password"), MISMATCHED);
}

#[test]
fn memory_of_one_hash_serves_the_next_of_another_size() {
    for memory_kib in [64, 16, 256] {
        let rule = rule(HashParams { memory_kib, ..QUICK }, "");
        assert_eq!(verify_by(hashed("a", &rule).expose(), "a", &rule), MATCHED);
    }
}

#[test]
fn a_pepper_is_part_of_the_hash() {
    let stored = hashed("right", &rule(QUICK, FIRST));
    let other = rule(
        QUICK,
        "1:0303030303030303030303030303030303030303030303030303030303030303",
    );
    assert_eq!(verify_by(stored.expose(), "right", &other), MISMATCHED);
    let without_id = stored.expose().replace(",keyid=AQ", "");
    assert_eq!(verify_by(&without_id, "right", &rule(QUICK, FIRST)), MISMATCHED);
}

#[test]
fn a_pepper_that_is_not_in_the_keyring_is_no_wrong_password() {
    let stored = hashed("right", &rule(QUICK, FIRST));
    for keys in ["", SECOND] {
        let error = verify_by(stored.expose(), "right", &rule(QUICK, keys)).unwrap_err();
        assert_eq!(error, HashError::PepperMissing(1));
    }
    assert_eq!(
        HashError::PepperMissing(3).to_string(),
        "the pepper key 3 is not in the keyring; put its line back"
    );
}

#[test]
fn a_hash_with_the_pepper_of_before_a_rotation_matches_and_is_replaced() {
    let stored = hashed("right", &rule(QUICK, FIRST));
    let rotated = rule(QUICK, &format!("{FIRST}{SECOND}"));
    assert_eq!(verify_by(stored.expose(), "right", &rotated), DUE);
    assert_eq!(verify_by(stored.expose(), "wrong", &rotated), MISMATCHED);
    let anew = hashed("right", &rotated);
    assert!(anew.expose().contains("keyid=Ag$"));
    assert_eq!(verify_by(anew.expose(), "right", &rotated), MATCHED);
}

#[test]
fn a_rehash_is_due_exactly_when_the_rule_makes_stronger_hashes() {
    let with = |memory_kib, iterations, parallelism| HashParams {
        memory_kib,
        iterations,
        parallelism,
    };
    let both = format!("{FIRST}{SECOND}");
    for (stored_by, keys, asked, asked_keys, due) in [
        (QUICK, "", QUICK, "", false),
        (with(64, 3, 3), "", QUICK, "", false),
        (with(31, 2, 2), "", QUICK, "", true),
        (with(32, 1, 2), "", QUICK, "", true),
        (with(32, 2, 1), "", QUICK, "", true),
        (QUICK, FIRST, QUICK, FIRST, false),
        (QUICK, "", QUICK, FIRST, true),
        (QUICK, FIRST, QUICK, &both, true),
        (QUICK, &both, QUICK, &both, false),
        (with(31, 2, 2), FIRST, QUICK, FIRST, true),
    ] {
        let stored = hashed("right", &rule(stored_by, keys));
        let verified = verify_by(stored.expose(), "right", &rule(asked, asked_keys));
        assert_eq!(
            verified,
            Ok(Verified::Matched { rehash: due }),
            "{}",
            stored.expose()
        );
    }
}

#[test]
fn imported_hashes_match_their_password_alone_and_are_replaced() {
    for (stored, scheme) in VECTORS {
        assert_eq!(password::inspect(stored), Ok(*scheme), "{stored}");
        assert!(scheme.is_legacy());
        assert_eq!(verify(stored, IMPORTED), DUE, "{stored}");
        assert_eq!(verify(stored, "Grüße, horse 2"), MISMATCHED, "{stored}");
    }
}

#[test]
fn imported_hashes_compare_the_octets_as_they_were_sent() {
    let decomposed = "Gru\u{308}ße, horse 1";
    for stored in ["{PLAIN}Grüße, horse 1", "{SHA}t/r3LOsrlFvJdMBG8i8/0gksmsw="] {
        assert_eq!(verify(stored, decomposed), MISMATCHED, "{stored}");
    }
}

#[test]
fn schemes_are_named_as_dovecot_names_them() {
    for (scheme, name) in [
        (Scheme::Own, "argon2id"),
        (Scheme::Argon2id, "ARGON2ID"),
        (Scheme::Sha512Crypt, "SHA512-CRYPT"),
        (Scheme::Bcrypt, "BLF-CRYPT"),
        (Scheme::SaltedSha1, "SSHA"),
        (Scheme::Sha1, "SHA"),
        (Scheme::ScramSha256, "SCRAM-SHA-256"),
        (Scheme::Plain, "PLAIN"),
    ] {
        assert_eq!(scheme.to_string(), name);
        assert_eq!(scheme.is_legacy(), scheme != Scheme::Own);
    }
}

/// Of 80 letters, by crypt(3).
#[test]
fn bcrypt_sees_72_octets_as_in_dovecot() {
    let stored = "{BLF-CRYPT}$2y$04$nPOV85rr7P1sYzJHIo0G..E95bKWRFTTpgPQV3uyIBDcJGkRk98We";
    for (n_letters, verified) in [(80, DUE), (72, DUE), (71, MISMATCHED)] {
        assert_eq!(verify(stored, &"a".repeat(n_letters)), verified, "{n_letters}");
    }
}

#[test]
fn octets_that_cannot_be_a_password_match_no_import() {
    // bcrypt would repeat `a NUL` either way.
    let stored = Secret::new(bcrypt_of("a"));
    let rule = rule(QUICK, "");
    let verify = |raw: &[u8]| password::verify(&stored, &prepared("x"), &Secret::new(raw.to_vec()), &rule);
    assert_eq!(verify(b"a"), DUE);
    for raw in [&b"a\0a"[..], b"a\r", b"a\n", b"", &[b'a'; 256]] {
        assert_eq!(verify(raw), MISMATCHED, "{raw:?}");
    }
    let long = Secret::new(format!("{{PLAIN}}{}", "a".repeat(255)));
    let verify = |raw: &[u8]| password::verify(&long, &prepared("x"), &Secret::new(raw.to_vec()), &rule);
    assert_eq!(verify(&[b'a'; 255]), DUE);
    assert_eq!(verify(&[b'a'; 256]), MISMATCHED, "compared as if it were cut off");
}

fn bcrypt_of(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

#[test]
fn a10_hashes_that_ask_for_too_much_are_refused_not_computed() {
    let hash32 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let salt = "c29tZXNhbHRzb21lc2FsdA";
    let sha512 = "Eo3Pnq1A6fN.cGSwhBVOHl86vsQlaWiKr0oMGKezfNa2qHSB660EdG8XJPVLaujxD.YKPGCz9aEsjH4XtJ4gZ0";
    for excessive in [
        format!("$argon2id$v=19$m=4194304,t=2,p=1${salt}${hash32}"),
        format!("$argon2id$v=19$m=65537,t=2,p=1${salt}${hash32}"),
        format!("$argon2id$v=19$m=19456,t=1000000,p=1${salt}${hash32}"),
        format!("$argon2id$v=19$m=19456,t=5,p=1${salt}${hash32}"),
        format!("$argon2id$v=19$m=19456,t=2,p=5${salt}${hash32}"),
        format!("{{ARGON2ID}}$argon2id$v=19$m=4194304,t=2,p=1${salt}${hash32}"),
        format!("{{ARGON2I}}$argon2i$v=19$m=4096,t=200,p=1${salt}${hash32}"),
        format!("{{SHA512-CRYPT}}$6$rounds=100001$salt${sha512}"),
        format!("$6$rounds=999999999$salt${sha512}"),
        format!("$6$rounds=99999999999999999999$salt${sha512}"),
        String::from("$2y$13$Ca/SIHgSuoVgWyjRmwFSl.No7ySc47VcnLy.RqJ8IBih182u6KbtC"),
        String::from("{CRYPT}$2a$31$Ca/SIHgSuoVgWyjRmwFSl.No7ySc47VcnLy.RqJ8IBih182u6KbtC"),
        String::from("{PBKDF2}$1$salt$100001$5326cbb73ff767040822de92b69d88e21fc60f8f"),
        String::from("{PBKDF2}$1$salt$4294967296$5326cbb73ff767040822de92b69d88e21fc60f8f"),
        format!("{{SCRAM-SHA-256}}100001,{salt},{hash32}=,{hash32}="),
    ] {
        assert_eq!(
            password::inspect(&excessive),
            Err(HashError::Excessive),
            "{excessive}"
        );
        assert_eq!(verify(&excessive, "x"), Err(HashError::Excessive), "{excessive}");
    }
}

#[test]
fn a10_malformed_hashes_are_refused() {
    let hash32 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let salt = "c29tZXNhbHRzb21lc2FsdA";
    for malformed in [
        "",
        "plain",
        "$argon2id$",
        "$argon2id$v=19$m=x$a$b",
        "$argon2id$v=19$m=32,t=2,p=1$c29tZXNhbHRzb21lc2FsdA",
        &format!("$argon2id$v=19$m=32,t=0,p=1${salt}${hash32}"),
        &format!("$argon2id$v=17$m=32,t=2,p=1${salt}${hash32}"),
        &format!("$argon2id$v=19$m=32,t=2,p=1,keyid=AA${salt}${hash32}"),
        &format!("$argon2id$v=19$m=32,t=2,p=1,keyid=AQI${salt}${hash32}"),
        &format!("$argon2id$v=19$m=32,t=2,p=1,data=AQI${salt}${hash32}"),
        &format!("{{ARGON2ID}}$argon2id$v=19$m=32,t=2,p=1,keyid=AQ${salt}${hash32}"),
        &format!("{{ARGON2ID}}$argon2i$v=19$m=32,t=2,p=1${salt}${hash32}"),
        &format!("{{ARGON2I}}$argon2d$v=19$m=32,t=2,p=1${salt}${hash32}"),
        "{SHA512-CRYPT}$5$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        "$5$rounds=999$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        "$5$rounds=+5000$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        "$5$rounds=$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        "$5$$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot9",
        "$5$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOot",
        "$5$jdPek1CgBrBsAfer$D77a5T4uoDXUJwMAFzeJM6BuiN/ERsr6kYCCezxOotz",
        "$2y$10$abcdefghijklmnopqrstuv",
        "{BLF-CRYPT}$2x$05$Ca/SIHgSuoVgWyjRmwFSl.No7ySc47VcnLy.RqJ8IBih182u6KbtC",
        "{BLF-CRYPT}$2y$03$Ca/SIHgSuoVgWyjRmwFSl.No7ySc47VcnLy.RqJ8IBih182u6KbtC",
        "{BLF-CRYPT}",
        "{PBKDF2}$1$salt$0$5326cbb73ff767040822de92b69d88e21fc60f8f",
        "{PBKDF2}$1$$5000$5326cbb73ff767040822de92b69d88e21fc60f8f",
        "{PBKDF2}$1$salt$5000$5326cbb73ff767040822de92b69d88e21fc60f8",
        "{SHA256}t/r3LOsrlFvJdMBG8i8/0gksmsw=",
        "{SSHA}t/r3LOsrlFvJdMBG8i8/0gksmsw=",
        "{SHA}*",
        "{PLAIN}",
        "{PLAIN.b64}*",
        "{PLAIN.hex}abc",
        "{SHA",
        "{CRYPT}plain",
        &format!("{{SCRAM-SHA-256}}4095,{salt},{hash32}=,{hash32}="),
        &format!("{{SCRAM-SHA-256}}4096,{salt},{hash32}="),
    ] {
        assert_eq!(
            password::inspect(malformed),
            Err(HashError::Malformed),
            "{malformed}"
        );
        assert_eq!(verify(malformed, "x"), Err(HashError::Malformed), "{malformed}");
    }
}

#[test]
fn unknown_schemes_are_named_as_such() {
    for unknown in [
        "{MD5-CRYPT}$1$a$b",
        "{CRYPT}$1$a$b",
        "$1$a$b",
        "{PLAIN-MD5}00",
        "{SHA.rot13}x",
        "{}x",
    ] {
        assert_eq!(
            password::inspect(unknown),
            Err(HashError::UnknownScheme),
            "{unknown}"
        );
    }
}

proptest! {
    #[test]
    fn a10_a_garbled_hash_never_panics_and_never_matches(
        (vector, cut, place, octet) in (0..VECTORS.len(), 0_usize..160, 0_usize..160, any::<char>()),
    ) {
        let mut stored: Vec<char> = VECTORS[vector].0.chars().collect();
        stored.truncate(cut.max(1));
        let place = place % stored.len();
        stored[place] = octet;
        let stored: String = stored.into_iter().collect();
        // Only what is cheap to compute is compared.
        if !stored.contains("argon2") && password::inspect(&stored).is_ok() {
            let verified = verify(&stored, "never the password");
            prop_assert!(matches!(verified, MISMATCHED), "{stored}: {verified:?}");
        }
    }

    #[test]
    fn a10_noise_never_panics(noise in "\\{?[A-Z0-9.$-]{0,14}\\}?\\PC{0,90}") {
        let stored = noise.as_str();
        let inspected = password::inspect(stored);
        let keys = ScramKeys::parse(stored);
        let is_marked = stored.starts_with(['{', '$']);
        prop_assert!(inspected.is_err() || is_marked);
        prop_assert!(keys.is_err());
    }
}

/// The example of RFC 7677 section 3: `pencil`. The keys are computed from it by other means.
const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
const PENCIL_OF_DOVECOT: &str = "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

#[test]
fn scram_keys_are_read_in_both_forms_and_written_in_one() {
    for text in [PENCIL, PENCIL_OF_DOVECOT] {
        let keys = ScramKeys::parse(text).unwrap();
        assert_eq!((keys.iterations, keys.salt.len()), (4096, 16));
        assert_eq!(keys.to_text().expose(), PENCIL);
        assert_eq!(
            format!("{keys:?}").matches("***").count(),
            2,
            "both keys are hidden"
        );
    }
    assert_eq!(verify(PENCIL_OF_DOVECOT, "pencil"), DUE);
    assert_eq!(verify(PENCIL_OF_DOVECOT, "pen"), MISMATCHED);
}

#[test]
fn derived_scram_keys_belong_to_their_password() {
    let keys = ScramKeys::derive(&prepared("pencil"), 4096).unwrap();
    let text = keys.to_text();
    let dovecot = text
        .expose()
        .replacen("SCRAM-SHA-256$", "{SCRAM-SHA-256}", 1)
        .replace([':', '$'], ",");
    assert_eq!(verify(&dovecot, "pencil"), DUE);
    assert_eq!(verify(&dovecot, "pencils"), MISMATCHED);
    let again = ScramKeys::derive(&prepared("pencil"), 4096).unwrap();
    assert_ne!(keys.salt, again.salt);
    assert_eq!(keys.salt.len(), 16);
}

#[test]
fn a07_scram_keys_out_of_bounds_are_refused() {
    let key = "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=";
    let salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
    for (text, error) in [
        (
            format!("SCRAM-SHA-256$1:{salt}${key}:{key}"),
            HashError::Malformed,
        ),
        (
            format!("SCRAM-SHA-256$4095:{salt}${key}:{key}"),
            HashError::Malformed,
        ),
        (
            format!("SCRAM-SHA-256$100001:{salt}${key}:{key}"),
            HashError::Excessive,
        ),
        (
            format!("SCRAM-SHA-256$2147483648:{salt}${key}:{key}"),
            HashError::Excessive,
        ),
        (
            format!("SCRAM-SHA-256$4096:AAAAAAAAAA==${key}:{key}"),
            HashError::Malformed,
        ),
        (
            format!("SCRAM-SHA-256$4096:{}${key}:{key}", "A".repeat(88)),
            HashError::Malformed,
        ),
        (
            format!("SCRAM-SHA-256$4096:{salt}${key}:AAAA"),
            HashError::Malformed,
        ),
        (format!("SCRAM-SHA-256$4096:{salt}${key}"), HashError::Malformed),
        (
            format!("SCRAM-SHA-1$4096:{salt}${key}:{key}"),
            HashError::Malformed,
        ),
        (String::new(), HashError::Malformed),
    ] {
        assert_eq!(ScramKeys::parse(&text).unwrap_err(), error, "{text}");
    }
    for iterations in [0, 4095, 100_001, u32::MAX] {
        let error = ScramKeys::derive(&prepared("x"), iterations).unwrap_err();
        assert_eq!(error, HashError::Excessive, "{iterations}");
    }
}

#[test]
fn a_name_that_nobody_has_shows_the_same_salt_every_time() {
    let fake = |secret, name| ScramKeys::fake(&[secret; 32], name, SCRAM_ITERATIONS);
    let (once, again) = (fake(1, "alice@example.com"), fake(1, "alice@example.com"));
    assert_eq!(once.to_text().expose(), again.to_text().expose());
    assert_ne!(once.salt, fake(1, "bob@example.com").salt);
    assert_ne!(once.salt, fake(2, "alice@example.com").salt);
    let real = ScramKeys::derive(&prepared("x"), SCRAM_ITERATIONS).unwrap();
    assert_eq!(
        (once.salt.len(), once.iterations),
        (real.salt.len(), real.iterations)
    );
    assert_ne!(once.stored_key.expose(), once.server_key.expose());
    assert_ne!(
        once.stored_key.expose(),
        fake(1, "bob@example.com").stored_key.expose()
    );
}

#[test]
fn nothing_secret_is_shown() {
    let printed = format!("{:?} {:?}", rule(QUICK, FIRST), prepared("correct horse"));
    for secret in ["correct horse", "0101", "[1, 1"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
