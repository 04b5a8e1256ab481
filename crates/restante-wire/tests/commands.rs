//! The grammar, line by line.

use restante_types::{MessageNumber, Octets};
use restante_wire::{Capability, Command, Expire, ParseError, Reply, RespCode, Verb, response};

fn parsed(line: &str) -> String {
    match Command::parse(line.as_bytes()) {
        Ok(command) => format!("{command:?}"),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn well_formed_lines_are_commands() {
    let golden = [
        ("QUIT", "Quit"),
        ("noop", "Noop"),
        ("STAT ", "Stat"),
        ("rEtR 1", "Retr(MessageNumber(1))"),
        ("RETR 1 ", "Retr(MessageNumber(1))"),
        ("LIST", "List(None)"),
        ("LIST ", "List(None)"),
        ("UIDL 4294967295", "Uidl(Some(MessageNumber(4294967295)))"),
        ("TOP 1 0", "Top { message: MessageNumber(1), lines: 0 }"),
        (
            "TOP 1 2147483648",
            "Top { message: MessageNumber(1), lines: 2147483648 }",
        ),
        (
            "TOP 1 99999999999999999999999999",
            "Top { message: MessageNumber(1), lines: 18446744073709551615 }",
        ),
        ("LANG", "Lang(None)"),
        ("LANG en-GB", "Lang(Some(\"en-GB\"))"),
        ("LANG *", "Lang(Some(\"*\"))"),
        ("AUTH", "Auth { mechanism: None, initial: None }"),
        ("AUTH ", "Auth { mechanism: None, initial: None }"),
        ("auth plain", "Auth { mechanism: Some(\"PLAIN\"), initial: None }"),
        (
            "AUTH PLAIN ",
            "Auth { mechanism: Some(\"PLAIN\"), initial: None }",
        ),
        (
            "AUTH PLAIN AGEAYg==",
            "Auth { mechanism: Some(\"PLAIN\"), initial: Some(***) }",
        ),
        ("STLS", "Stls"),
        ("UTF8", "Utf8"),
        ("CAPA", "Capa"),
        ("RSET", "Rset"),
        ("DELE 7", "Dele(MessageNumber(7))"),
    ];
    for (line, command) in golden {
        assert_eq!(parsed(line), command, "{line:?}");
    }
}

#[test]
fn malformed_lines_are_refused() {
    for line in [
        "QUIT x",
        "STAT x",
        "NOOP x",
        "STAT  ",
        "LIST  ",
        "TOP 1",
        "TOP 1 -1",
        "TOP 1 1x",
        "TOP 1 2 3",
        "RETR",
        "RETR ",
        "RETR  1",
        "RETR 1  ",
        "RETR 1 2",
        "PASS",
        "PASS foo\rbar",
        "PASS a\0",
        "PASS a\tb",
        "USER",
        "USER ",
        "USER  a",
        "USER a\u{7f}",
        "AUTH  ",
        "AUTH PLAIN  x",
        "AUTH PLAIN x y",
        "AUTH PL@IN",
        "AUTH ABCDEFGHIJKLMNOPQRSTU",
        "LANG e_n",
        "LANG en de",
        "STLS \r",
        "UTF8 x",
    ] {
        let error = Command::parse(line.as_bytes()).unwrap_err();
        assert!(matches!(error, ParseError::Syntax(_)), "{line:?} is {error:?}");
    }
    for line in [
        " ",
        " NOOP",
        "\tNOOP",
        "NOOP\tx",
        "NOOP\0",
        "\rQUIT",
        ":",
        "\0",
        "%s%n",
        "XTND XMIT",
        "LAST",
        "RETRX 1",
    ] {
        assert_eq!(
            Command::parse(line.as_bytes()).unwrap_err(),
            ParseError::Unknown,
            "{line:?}"
        );
    }
    assert_eq!(Command::parse(b"\xff\xfe").unwrap_err(), ParseError::Unknown);
    assert_eq!(Command::parse(b"").unwrap_err(), ParseError::Empty);
}

#[test]
fn odd_message_numbers_name_no_message() {
    let long = "1".repeat(40);
    for verb in [Verb::Retr, Verb::Dele, Verb::Top, Verb::List, Verb::Uidl] {
        for number in [
            "0",
            "-1",
            "+1",
            "01",
            "1x",
            "1.0",
            "4294967296",
            "4294967297",
            &long,
        ] {
            let lines = if verb == Verb::Top { " 1" } else { "" };
            let error = Command::parse(format!("{verb} {number}{lines}").as_bytes()).unwrap_err();
            assert_eq!(error, ParseError::NoSuchMessage(verb), "{verb} {number}");
        }
    }
}

#[test]
fn password_keeps_every_space() {
    for password in ["", " ", " a b  ", "\u{e9}"] {
        let Ok(Command::Pass(secret)) = Command::parse(format!("PASS {password}").as_bytes()) else {
            panic!("{password:?} is refused");
        };
        assert_eq!(secret.expose(), password.as_bytes());
    }
}

#[test]
fn user_loses_one_trailing_space_only() {
    for (line, name) in [("USER a ", "a"), ("USER a b", "a b"), ("USER a  ", "a ")] {
        let Ok(Command::User(user)) = Command::parse(line.as_bytes()) else {
            panic!("{line:?} is refused");
        };
        assert_eq!(user, name.as_bytes());
    }
}

#[test]
fn every_verb_is_found_in_any_case() {
    for &verb in Verb::ALL {
        let line = format!("{} 1 1", verb.as_str().to_lowercase());
        match Command::parse(line.as_bytes()) {
            Ok(command) => assert_eq!(command.verb(), verb),
            Err(error) => assert_eq!(error, ParseError::Syntax(verb)),
        }
    }
}

fn line(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn replies_are_written_as_the_rfcs_say() {
    let seven = MessageNumber::new(7).unwrap();
    assert_eq!(line(|out| response::ok(out, "ready")), "+OK ready\r\n");
    assert_eq!(line(|out| response::ok(out, "")), "+OK\r\n");
    assert_eq!(line(|out| response::err(out, None, "no")), "-ERR no\r\n");
    assert_eq!(
        line(|out| response::err(out, Some(RespCode::InUse), "busy")),
        "-ERR [IN-USE] busy\r\n"
    );
    assert_eq!(line(|out| response::continuation(out, "")), "+ \r\n");
    assert_eq!(line(|out| response::continuation(out, "YQ==")), "+ YQ==\r\n");
    assert_eq!(line(|out| response::ok_stat(out, 0, Octets::ZERO)), "+OK 0 0\r\n");
    assert_eq!(
        line(|out| response::ok_stat(out, 2, Octets(u64::MAX))),
        "+OK 2 18446744073709551615\r\n"
    );
    assert_eq!(
        line(|out| response::ok_scan(out, seven, Octets(120))),
        "+OK 7 120\r\n"
    );
    assert_eq!(
        line(|out| response::scan_listing(out, seven, Octets(120))),
        "7 120\r\n"
    );
    assert_eq!(
        line(|out| response::ok_unique_id(out, seven, "ab")),
        "+OK 7 ab\r\n"
    );
    assert_eq!(
        line(|out| response::unique_id_listing(out, seven, "ab")),
        "7 ab\r\n"
    );
    assert_eq!(
        line(|out| response::ok_body(out, Octets(1000))),
        "+OK 1000 octets\r\n"
    );
    assert_eq!(line(|out| response::listing_line(out, ".x")), "..x\r\n");
    assert_eq!(line(response::terminator), ".\r\n");
}

#[test]
fn no_text_makes_a_second_line_or_passes_512_octets() {
    assert_eq!(line(|out| response::ok(out, "a\r\n+OK b")), "+OK a+OK b\r\n");
    let long = line(|out| response::err(out, Some(RespCode::SysTemp), &"\u{e9}".repeat(600)));
    assert!((511..=512).contains(&long.len()), "{}", long.len());
    assert!(long.ends_with("\u{e9}\r\n"));
}

#[test]
fn capabilities_are_written_as_the_rfcs_say() {
    let golden = [
        (Capability::Top, "TOP"),
        (Capability::User, "USER"),
        (Capability::Sasl(&["PLAIN", "XOAUTH2"]), "SASL PLAIN XOAUTH2"),
        (Capability::RespCodes, "RESP-CODES"),
        (
            Capability::LoginDelay {
                secs: 900,
                per_user: false,
            },
            "LOGIN-DELAY 900",
        ),
        (
            Capability::LoginDelay {
                secs: 900,
                per_user: true,
            },
            "LOGIN-DELAY 900 USER",
        ),
        (Capability::Pipelining, "PIPELINING"),
        (Capability::Expire(Expire::Never), "EXPIRE NEVER"),
        (Capability::Expire(Expire::Days(30)), "EXPIRE 30"),
        (Capability::Expire(Expire::PerUser { days: 5 }), "EXPIRE 5 USER"),
        (Capability::Uidl, "UIDL"),
        (Capability::Implementation("Restante"), "IMPLEMENTATION Restante"),
        (Capability::AuthRespCode, "AUTH-RESP-CODE"),
        (Capability::Stls, "STLS"),
        (Capability::Utf8 { user: false }, "UTF8"),
        (Capability::Utf8 { user: true }, "UTF8 USER"),
        (Capability::Lang, "LANG"),
    ];
    for (capability, text) in golden {
        assert_eq!(capability.to_string(), text);
    }
}

#[test]
fn replies_are_read_back() {
    for &code in RespCode::ALL {
        let mut out = Vec::new();
        response::err(&mut out, Some(code), "why");
        let reply = Reply::parse(out.strip_suffix(b"\r\n").unwrap()).unwrap();
        assert_eq!(
            reply,
            Reply {
                ok: false,
                code: Some(code),
                text: b"why"
            }
        );
        assert_eq!(code.to_string(), format!("[{}]", code.as_str()));
    }
    assert_eq!(
        Reply::parse(b"+OK"),
        Some(Reply {
            ok: true,
            code: None,
            text: b""
        })
    );
    assert_eq!(
        Reply::parse(b"-ERR [sys/temp] x").unwrap().code,
        Some(RespCode::SysTemp)
    );
    let unknown = Reply::parse(b"-ERR [X] x").unwrap();
    assert_eq!((unknown.code, unknown.text), (None, b"[X] x".as_slice()));
    assert_eq!(Reply::parse(b"+OKAY"), None);
    assert_eq!(Reply::parse(b"* BYE"), None);
    assert_eq!(Reply::challenge(b"+ YQ=="), Some(b"YQ==".as_slice()));
    assert_eq!(Reply::challenge(b"+OK"), None);
}
