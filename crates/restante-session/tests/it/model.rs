//! TRANSACTION against a model of RFC 1939 section 5: a list of messages with marks. And that nothing but QUIT deletes.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;
use restante_session::{Channel, CloseReason, Refusal, SessionPolicy};

use crate::world::{Asked, BodyFate, Driver, World};

const NO_SUCH: &str = "-ERR No such message\r\n";

#[derive(Clone, Debug)]
enum Command {
    Stat,
    List(Option<usize>),
    Uidl(Option<usize>),
    Retr(usize),
    Top(usize, u64),
    Dele(usize),
    Rset,
    Noop,
}

impl Command {
    fn line(&self) -> String {
        match self {
            Self::Stat => "STAT\r\n".into(),
            Self::List(None) => "LIST\r\n".into(),
            Self::List(Some(n)) => format!("LIST {n}\r\n"),
            Self::Uidl(None) => "UIDL\r\n".into(),
            Self::Uidl(Some(n)) => format!("UIDL {n}\r\n"),
            Self::Retr(n) => format!("RETR {n}\r\n"),
            Self::Top(n, lines) => format!("TOP {n} {lines}\r\n"),
            Self::Dele(n) => format!("DELE {n}\r\n"),
            Self::Rset => "RSET\r\n".into(),
            Self::Noop => "NOOP\r\n".into(),
        }
    }
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let number = || 0..9_usize;
    let command = prop_oneof![
        Just(Command::Stat),
        prop::option::of(number()).prop_map(Command::List),
        prop::option::of(number()).prop_map(Command::Uidl),
        number().prop_map(Command::Retr),
        (number(), 0..4_u64).prop_map(|(n, lines)| Command::Top(n, lines)),
        number().prop_map(Command::Dele),
        number().prop_map(Command::Dele),
        Just(Command::Rset),
        Just(Command::Noop),
    ];
    prop::collection::vec(command, 0..40)
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(8..300_usize, 0..8)
}

/// What RFC 1939 says.
struct Model {
    world: World,
    deleted: Vec<bool>,
}

impl Model {
    fn new(world: World) -> Self {
        let deleted = vec![false; world.messages.len()];
        Self { world, deleted }
    }

    fn live(&self) -> impl Iterator<Item = (usize, usize, &str)> {
        (1..)
            .zip(&self.world.messages)
            .zip(&self.deleted)
            .filter(|(_, deleted)| !**deleted)
            .map(|((n, message), _)| (n, message.body.len(), message.unique_id.as_str()))
    }

    fn drop_listing(&self) -> String {
        let octets: usize = self.live().map(|(_, octets, _)| octets).sum();
        format!("+OK {} {octets}\r\n", self.live().count())
    }

    fn listing(&self, line: impl Fn((usize, usize, &str)) -> String) -> String {
        let lines: String = self.live().map(line).collect();
        format!("{}{lines}.\r\n", self.drop_listing())
    }

    fn of_one(&self, n: usize, reply: impl Fn((usize, usize, &str)) -> String) -> String {
        self.live()
            .find(|(number, ..)| *number == n)
            .map_or_else(|| NO_SUCH.into(), reply)
    }

    fn body(&self, n: usize, lines: Option<u64>) -> String {
        let body = String::from_utf8(self.world.messages[n - 1].stuffed(lines)).unwrap();
        format!("{body}.\r\n")
    }

    fn reply(&mut self, command: &Command) -> String {
        match *command {
            Command::Stat => self.drop_listing(),
            Command::List(None) => self.listing(|(n, octets, _)| format!("{n} {octets}\r\n")),
            Command::List(Some(n)) => self.of_one(n, |(n, octets, _)| format!("+OK {n} {octets}\r\n")),
            Command::Uidl(None) => self.listing(|(n, _, unique_id)| format!("{n} {unique_id}\r\n")),
            Command::Uidl(Some(n)) => self.of_one(n, |(n, _, unique_id)| format!("+OK {n} {unique_id}\r\n")),
            Command::Retr(n) => self.of_one(n, |(n, octets, _)| {
                format!("+OK {octets} octets\r\n{}", self.body(n, None))
            }),
            Command::Top(n, lines) => self.of_one(n, |(n, ..)| {
                format!("+OK Top of message follows\r\n{}", self.body(n, Some(lines)))
            }),
            Command::Dele(n) => {
                let reply = self.of_one(n, |_| "+OK Message deleted\r\n".into());
                if reply != NO_SUCH {
                    self.deleted[n - 1] = true;
                }
                reply
            }
            Command::Rset => {
                self.deleted.fill(false);
                "+OK No message is marked as deleted\r\n".into()
            }
            Command::Noop => "+OK\r\n".into(),
        }
    }

    fn marked(&self) -> Vec<u32> {
        (1..)
            .zip(&self.deleted)
            .filter_map(|(n, deleted)| deleted.then_some(n))
            .collect()
    }
}

fn logged_in(sizes: &[usize]) -> Driver {
    let mut driver = Driver::new(SessionPolicy::default(), Channel::Tls, World::of_sizes(sizes));
    driver.send(b"USER mrose\r\nPASS secret\r\n");
    driver.sent.clear();
    driver
}

/// Every way a session can end but QUIT.
#[derive(Clone, Copy, Debug)]
enum End {
    Disconnect,
    HalfQuit,
    Idle,
    TooLong,
    Interrupt,
    Abandon,
    LongLine,
    BadCommands,
    BodyBreaks,
    ClientGoneInBody,
}

const ENDS: [End; 10] = [
    End::Disconnect,
    End::HalfQuit,
    End::Idle,
    End::TooLong,
    End::Interrupt,
    End::Abandon,
    End::LongLine,
    End::BadCommands,
    End::BodyBreaks,
    End::ClientGoneInBody,
];

impl End {
    fn happens(self, driver: &mut Driver) {
        match self {
            Self::Disconnect => driver.end_of_input(),
            Self::HalfQuit => {
                driver.send(b"QUIT\r");
                driver.end_of_input();
            }
            Self::Idle => driver.advance(Duration::from_mins(10)),
            Self::TooLong => {
                for _ in 0..13 {
                    driver.advance(Duration::from_secs(599));
                    driver.send(b"NOOP\r\n");
                }
            }
            Self::Interrupt => driver.interrupt(CloseReason::Superseded, Refusal::Superseded),
            Self::Abandon => driver.abandon(CloseReason::SlowReader),
            Self::LongLine => driver.send(&[b'Q'; 600]),
            Self::BadCommands => driver.send(&b"QUIET\r\n".repeat(10)),
            Self::BodyBreaks | Self::ClientGoneInBody => {
                driver.world.body = match self {
                    Self::BodyBreaks => BodyFate::Breaks,
                    _ => BodyFate::ClientGone,
                };
                driver.send(b"RSET\r\nRETR 1\r\n");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn every_reply_is_the_models(sizes in sizes(), commands in commands(), pipelined in 1..6_usize) {
        let mut driver = logged_in(&sizes);
        let mut model = Model::new(World::of_sizes(&sizes));
        for batch in commands.chunks(pipelined) {
            let lines: String = batch.iter().map(Command::line).collect();
            let mut replies = String::new();
            for command in batch {
                write!(replies, "{}", model.reply(command)).unwrap();
            }
            driver.sent.clear();
            driver.send(lines.as_bytes());
            prop_assert_eq!(std::str::from_utf8(&driver.sent).unwrap(), replies);
            prop_assert_eq!(driver.committed(), None);
        }
        driver.sent.clear();
        driver.send(b"QUIT\r\n");
        let marked = model.marked();
        prop_assert_eq!(driver.closed, Some(CloseReason::Quit));
        prop_assert_eq!(driver.committed().unwrap_or_default(), marked.as_slice());
        prop_assert_eq!(driver.session().summary().n_deleted, marked.len());
        let last = match marked.len() {
            0 => "+OK Goodbye\r\n".to_owned(),
            1 => "+OK 1 message deleted\r\n".to_owned(),
            n => format!("+OK {n} messages deleted\r\n"),
        };
        prop_assert_eq!(std::str::from_utf8(&driver.sent).unwrap(), last);
    }

    #[test]
    fn nothing_but_quit_deletes(sizes in prop::collection::vec(8..300_usize, 1..8), commands in commands(), end in prop::sample::select(&ENDS[..])) {
        let mut driver = logged_in(&sizes);
        for command in &commands {
            driver.send(command.line().as_bytes());
        }
        driver.send(b"DELE 1\r\n");
        end.happens(&mut driver);
        prop_assert!(driver.closed.is_some(), "{:?} ends a session", end);
        prop_assert_eq!(driver.committed(), None);
        let n_released = driver.asked.iter().filter(|asked| **asked == Asked::Release).count();
        prop_assert_eq!(n_released, 1);
        driver.send(b"QUIT\r\n");
        prop_assert_eq!(driver.committed(), None, "closed is closed");
    }

    #[test]
    fn what_a_client_sends_is_never_repeated_to_it(
        marker in "[g-z]{12}",
        clear in any::<bool>(),
        lines in prop::collection::vec(prop::sample::select(&TEMPLATES[..]), 1..9),
    ) {
        let channel = if clear { Channel::Clear } else { Channel::Tls };
        let policy = SessionPolicy { utf8: true, ..SessionPolicy::default() };
        let mut world = World::of_sizes(&[20]);
        world.verify = Err(Refusal::Credentials);
        let mut driver = Driver::new(policy, channel, world);
        for line in lines {
            driver.send(line.replace("{}", &marker).as_bytes());
        }
        driver.world.verify = Ok(());
        driver.send(format!("USER {marker}\r\nPASS {marker}\r\nRETR {marker}\r\n{marker}\r\n").as_bytes());
        let sent = String::from_utf8(driver.sent).unwrap().to_ascii_lowercase();
        prop_assert!(!sent.contains(&marker), "{}", sent);
    }
}

const TEMPLATES: [&str; 12] = [
    "{}\r\n",
    "USER {}\r\n",
    "USER a\r\nPASS {}\r\n",
    "AUTH {}\r\n",
    "AUTH PLAIN {}\r\n",
    "AUTH PLAIN\r\n{}\r\n",
    "AUTH LOGIN\r\n{}\r\n*\r\n",
    "LANG {}\r\n",
    "CAPA {}\r\n",
    "APOP {} {}\r\n",
    "STLS {}\r\n",
    "UTF8 {}\r\n",
];

#[test]
fn message_numbers_stay_when_one_is_marked() {
    let mut model = Model::new(World::of_sizes(&[10, 20, 30]));
    let mut driver = logged_in(&[10, 20, 30]);
    for command in [
        Command::Dele(1),
        Command::List(None),
        Command::Uidl(Some(3)),
        Command::Stat,
    ] {
        driver.sent.clear();
        driver.send(command.line().as_bytes());
        assert_eq!(std::str::from_utf8(&driver.sent).unwrap(), model.reply(&command));
    }
}
