//! Nothing that `Debug` prints shows a password.

use std::sync::Arc;

use restante_session::{Channel, Request, Session, SessionPolicy, Step, TlsFacts};
use restante_wire::Command;

use crate::world::{Driver, Proofs, World};

const CANARY: &str = "tanstaaf-canary";
/// NUL `tim` NUL canary.
const PLAIN: &str = "AHRpbQB0YW5zdGFhZi1jYW5hcnk=";
/// The canary.
const LOGIN: &str = "dGFuc3RhYWYtY2FuYXJ5";

fn assert_hidden(shown: &str) {
    let octets = format!("{:?}", CANARY.as_bytes());
    for secret in [CANARY, PLAIN, LOGIN, octets.trim_matches(['[', ']'])] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn steps_requests_and_sessions_hide_passwords() {
    let logins = [
        format!("USER tim\r\nPASS {CANARY}\r\n"),
        format!("AUTH PLAIN {PLAIN}\r\n"),
        format!("AUTH PLAIN\r\n{PLAIN}\r\n"),
        format!("AUTH LOGIN\r\ndGlt\r\n{LOGIN}\r\n"),
    ];
    for login in logins {
        let start = Driver::new(SessionPolicy::default(), Channel::Tls, World::default()).now;
        let policy = Arc::new(SessionPolicy::default());
        let mut session: Session<Proofs> = Session::new(policy, Channel::Tls, TlsFacts::default(), start);
        session.receive(login.as_bytes(), start);
        assert_hidden(&format!("{session:?} {session:#?}"));
        let mut out = Vec::new();
        let step = session.next(&mut out);
        assert!(matches!(step, Step::Ask(Request::Verify(_))), "{step:?}");
        assert_hidden(&format!("{step:?} {step:#?} {session:?}"));
        assert_hidden(&String::from_utf8(out).unwrap());
    }
}

#[test]
fn commands_hide_passwords() {
    for line in [format!("PASS {CANARY}"), format!("AUTH PLAIN {PLAIN}")] {
        let command = Command::parse(line.as_bytes()).unwrap();
        assert_hidden(&format!("{command:?} {command:#?}"));
    }
}
