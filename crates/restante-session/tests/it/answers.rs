//! Answers that come unasked, twice or too late: mistakes of a driver, and a client that goes at a bad moment.

use std::sync::Arc;
use std::time::Duration;

use restante_session::{
    Answer, Channel, CloseReason, Refusal, Request, Served, Session, SessionPolicy, Step, TlsFacts,
    UnexpectedAnswer,
};
use restante_wire::Verb;

use crate::world::{Deleted, Driver, Login, Proofs, Whole, World};

struct Bare {
    session: Session<Proofs>,
    world: World,
    out: Vec<u8>,
    now: std::time::Instant,
}

impl Bare {
    fn new(lines: &[u8]) -> Self {
        let now = Driver::new(SessionPolicy::default(), Channel::Tls, World::default()).now;
        let mut bare = Self {
            session: Session::new(
                Arc::new(SessionPolicy::default()),
                Channel::Tls,
                TlsFacts::default(),
                now,
            ),
            world: World::of_sizes(&[10, 20]),
            out: Vec::new(),
            now,
        };
        bare.session.receive(lines, now);
        bare
    }

    fn logged_in(lines: &str) -> Self {
        let mut bare = Self::new(format!("USER a\r\nPASS b\r\n{lines}").as_bytes());
        assert!(matches!(bare.next(), Step::Ask(Request::Verify(_))));
        bare.answer(Answer::Verdict(Ok(Login::somebody()))).unwrap();
        assert!(matches!(bare.next(), Step::Ask(Request::Open(_))));
        let opened = bare.world.opened();
        bare.answer(Answer::Opened(Ok(opened))).unwrap();
        bare.out.clear();
        bare
    }

    fn next(&mut self) -> Step<Proofs> {
        self.session.next(&mut self.out)
    }

    fn answer(&mut self, answer: Answer<Proofs>) -> Result<(), UnexpectedAnswer> {
        self.session.answer(answer, &mut self.out, self.now)
    }
}

#[test]
fn a_verdict_that_was_not_asked_for_logs_nobody_in() {
    let mut bare = Bare::new(b"USER a\r\n");
    assert!(matches!(bare.next(), Step::NeedInput));
    bare.out.clear();
    let granted = Answer::Verdict(Ok(Login::somebody()));
    assert_eq!(bare.answer(granted), Err(UnexpectedAnswer));
    assert!(matches!(bare.next(), Step::NeedInput) && bare.out.is_empty());
}

#[test]
fn an_answer_that_does_not_fit_changes_nothing() {
    let mut bare = Bare::logged_in("RETR 1\r\n");
    assert_eq!(
        bare.answer(Answer::Body(Ok(()))),
        Err(UnexpectedAnswer),
        "not asked yet"
    );
    assert!(matches!(bare.next(), Step::Ask(Request::Body { .. })));
    assert_eq!(bare.answer(Answer::Sent(Whole)), Err(UnexpectedAnswer));
    assert_eq!(bare.answer(Answer::Released), Err(UnexpectedAnswer));
    assert_eq!(
        bare.answer(Answer::Committed(Ok(Deleted(1)))),
        Err(UnexpectedAnswer)
    );
    assert!(bare.out.is_empty());
    bare.answer(Answer::Body(Ok(()))).unwrap();
    assert_eq!(
        bare.answer(Answer::Body(Ok(()))),
        Err(UnexpectedAnswer),
        "answered already"
    );
    assert_eq!(bare.out, b"+OK 10 octets\r\n");
}

#[test]
fn a_command_waits_for_the_answer_to_the_one_before_it() {
    let mut bare = Bare::logged_in("RETR 1\r\nQUIT\r\n");
    assert!(matches!(bare.next(), Step::Ask(Request::Body { .. })));
    assert!(matches!(bare.next(), Step::NeedInput), "QUIT is not served yet");
}

#[test]
fn a_client_that_goes_during_update_changes_nothing_about_it() {
    let mut bare = Bare::logged_in("DELE 1\r\nQUIT\r\n");
    assert!(matches!(bare.next(), Step::Ask(Request::Commit(_))));
    bare.out.clear();
    bare.session.abandon(CloseReason::SlowReader);
    bare.answer(Answer::Committed(Ok(Deleted(1)))).unwrap();
    assert!(matches!(bare.next(), Step::Ask(Request::Release)));
    bare.session.abandon(CloseReason::SlowReader);
    bare.answer(Answer::Released).unwrap();
    assert!(matches!(bare.next(), Step::Close(CloseReason::Quit)));
    assert!(bare.out.is_empty(), "nobody is there to hear it");
    assert_eq!(bare.session.summary().n_deleted, 1);
}

#[test]
fn an_update_that_has_begun_is_not_interrupted() {
    let mut bare = Bare::logged_in("DELE 1\r\nQUIT\r\n");
    assert!(matches!(bare.next(), Step::Ask(Request::Commit(_))));
    bare.out.clear();
    bare.session
        .interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
    bare.answer(Answer::Committed(Ok(Deleted(1)))).unwrap();
    assert!(matches!(bare.next(), Step::Ask(Request::Release)));
    bare.answer(Answer::Released).unwrap();
    bare.session
        .interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
    assert!(matches!(bare.next(), Step::Close(CloseReason::Quit)));
    assert_eq!(bare.out, b"+OK 1 message deleted\r\n");
}

#[test]
fn a_client_that_goes_while_its_maildrop_is_opened_leaves_it_free() {
    let mut bare = Bare::new(b"USER a\r\nPASS b\r\n");
    assert!(matches!(bare.next(), Step::Ask(Request::Verify(_))));
    bare.answer(Answer::Verdict(Ok(Login::somebody()))).unwrap();
    assert!(matches!(bare.next(), Step::Ask(Request::Open(_))));
    bare.session.abandon(CloseReason::SlowReader);
    let opened = bare.world.opened();
    bare.answer(Answer::Opened(Ok(opened))).unwrap();
    assert!(matches!(bare.next(), Step::Ask(Request::Release)));
    bare.answer(Answer::Released).unwrap();
    assert!(matches!(bare.next(), Step::Close(CloseReason::SlowReader)));
}

#[test]
fn a_maildrop_is_given_back_however_often_a_session_is_ended() {
    let mut bare = Bare::logged_in("");
    bare.session
        .interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
    bare.session.abandon(CloseReason::SlowReader);
    assert!(matches!(bare.next(), Step::Ask(Request::Release)));
    bare.answer(Answer::Released).unwrap();
    assert!(matches!(bare.next(), Step::Close(CloseReason::ShuttingDown)));
    assert!(bare.out.is_empty());
}

#[test]
fn every_line_is_counted_once_with_its_refusal_and_the_time_to_its_reply() {
    let mut bare = Bare::logged_in("STAT\r\nDELE 9\r\nNONSENSE\r\nRETR 1\r\nQUIT\r\n");
    bare.session.served().for_each(drop);
    assert!(matches!(bare.next(), Step::Ask(Request::Body { .. })));
    bare.now += Duration::from_millis(70);
    bare.answer(Answer::Body(Ok(()))).unwrap();
    assert!(matches!(bare.next(), Step::Ask(Request::Send)));
    bare.now += Duration::from_mins(1);
    bare.answer(Answer::Sent(Whole)).unwrap();
    assert!(matches!(bare.next(), Step::Ask(Request::Release)));
    bare.answer(Answer::Released).unwrap();
    assert!(matches!(bare.next(), Step::Close(CloseReason::Quit)));
    let served: Vec<_> = bare.session.served().collect();
    let counted: Vec<_> = served.iter().map(|line| (line.verb, line.refusal)).collect();
    assert_eq!(
        counted,
        [
            (Some(Verb::Stat), None),
            (Some(Verb::Dele), Some(Refusal::NoSuchMessage)),
            (None, Some(Refusal::UnknownCommand)),
            (Some(Verb::Retr), None),
            (Some(Verb::Quit), None),
        ]
    );
    assert_eq!(
        served[3].elapsed,
        Duration::from_millis(70),
        "a slow reader is not a slow server"
    );
    assert_eq!(bare.session.served().count(), 0, "each is handed out once");
}

#[test]
fn a_login_is_one_line_however_many_lines_it_takes() {
    let mut bare = Bare::new(b"AUTH PLAIN\r\n");
    assert!(matches!(bare.next(), Step::NeedInput));
    assert_eq!(bare.session.served().count(), 0, "a challenge is no reply");
    bare.now += Duration::from_secs(9);
    bare.session.receive(b"AGEAYg==\r\n", bare.now);
    assert!(matches!(bare.next(), Step::Ask(Request::Verify(_))));
    bare.now += Duration::from_millis(30);
    bare.answer(Answer::Verdict(Err(Refusal::Credentials))).unwrap();
    let served: Vec<_> = bare.session.served().collect();
    assert_eq!(
        served,
        [Served {
            verb: Some(Verb::Auth),
            refusal: Some(Refusal::Credentials),
            elapsed: Duration::from_millis(30),
        }]
    );
}

#[test]
fn what_the_server_says_by_itself_is_counted_too() {
    let mut bare = Bare::logged_in("");
    bare.session.served().for_each(drop);
    bare.session
        .interrupt(CloseReason::ShuttingDown, Refusal::ShuttingDown);
    assert!(matches!(bare.next(), Step::Ask(Request::Release)));
    bare.answer(Answer::Released).unwrap();
    assert!(matches!(bare.next(), Step::Close(CloseReason::ShuttingDown)));
    let served: Vec<_> = bare.session.served().collect();
    assert_eq!(served.len(), 1);
    assert_eq!(
        (served[0].verb, served[0].refusal),
        (None, Some(Refusal::ShuttingDown))
    );
}
