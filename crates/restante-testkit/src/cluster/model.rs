//! What must be in a maildrop, as far as its user can know.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::random::Random;

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The answer to its delivery was lost.
    MaybeDelivered,
    /// It was acknowledged, or has been seen.
    Present,
    /// The answer to this QUIT, which deletes it, was lost.
    MaybeDeleted(u64),
    /// Its deletion was acknowledged.
    Gone,
}

/// How a QUIT ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `+OK`.
    Deleted,
    /// `-ERR`, and nothing is deleted.
    NotDeleted,
    /// No answer, or one that says so: all or none.
    Unknown,
}

/// One account's maildrop as its user knows it.
#[derive(Clone, Debug)]
pub struct Mailbox {
    account: String,
    seed: u64,
    messages: BTreeMap<u64, State>,
    serials: HashMap<String, u64>,
    /// Unique-ids in the order in which they were last listed.
    order: Vec<String>,
    last_serial: u64,
    last_quit: u64,
}

impl Mailbox {
    /// An empty one.
    pub fn new(account: &str, seed: u64) -> Self {
        Self {
            account: account.to_owned(),
            seed,
            messages: BTreeMap::new(),
            serials: HashMap::new(),
            order: Vec::new(),
            last_serial: 0,
            last_quit: 0,
        }
    }

    /// Whose it is.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// How many messages it holds, as far as is known.
    pub fn len(&self) -> usize {
        self.messages
            .values()
            .filter(|state| **state == State::Present)
            .count()
    }

    /// Whether it holds none, as far as is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets of a message. They tell whose it is and which, and every line depends on both.
    pub fn octets(&self, serial: u64) -> Vec<u8> {
        let mut random = Random::new(self.seed ^ serial.wrapping_mul(0x1000_0000_01B3));
        let n_lines = match random.below(40) {
            0 => 9_000,
            1 => 600,
            n => 1 + n,
        };
        let mut text = format!(
            "X-Serial: {}/{serial}\r\nSubject: {}\r\n\r\n",
            self.account,
            random.number()
        );
        for n in 0..n_lines {
            let dot = if random.one_in(5) { "." } else { "" };
            write!(
                text,
                "{dot}{} {serial} {n} {:016x}\r\n",
                self.account,
                random.number()
            )
            .expect("a string takes everything");
        }
        text.into_bytes()
    }

    /// A message that is about to be delivered.
    pub fn begin(&mut self) -> u64 {
        self.last_serial += 1;
        self.messages.insert(self.last_serial, State::MaybeDelivered);
        self.last_serial
    }

    /// Its delivery was acknowledged.
    pub fn delivered(&mut self, serial: u64) {
        self.messages.insert(serial, State::Present);
    }

    /// Its delivery was refused: it is not there, and never will be.
    pub fn refused(&mut self, serial: u64) {
        self.messages.remove(&serial);
    }

    /// The message of a unique-id, if it was seen before.
    pub fn serial(&self, unique_id: &str) -> Option<u64> {
        self.serials.get(unique_id).copied()
    }

    /// What the header of a message tells of it.
    ///
    /// # Errors
    /// It is another account's, or known by another unique-id: a promise is broken.
    pub fn learn(&mut self, unique_id: &str, header: &[u8]) -> Result<u64, String> {
        let header = String::from_utf8_lossy(header);
        let line = header.lines().next().unwrap_or_default();
        let named = line
            .strip_prefix("X-Serial: ")
            .and_then(|named| named.rsplit_once('/'));
        let Some((account, serial)) = named else {
            return Err(format!("{unique_id} is no message of the test: {line:?}"));
        };
        if account != self.account {
            return Err(format!("{unique_id} is a message of {account}"));
        }
        let serial: u64 = serial.parse().map_err(|_| format!("{unique_id}: {line:?}"))?;
        if let Some((other, _)) = self.serials.iter().find(|(_, known)| **known == serial) {
            return Err(format!(
                "message {serial} was {other} and is {unique_id}, or is there twice"
            ));
        }
        if self.messages.get(&serial) == Some(&State::MaybeDelivered) {
            self.messages.insert(serial, State::Present);
        }
        self.serials.insert(unique_id.to_owned(), serial);
        Ok(serial)
    }

    /// Judges a listing: unique-ids in their order. All of them have been learned, unless `is_complete` is false.
    ///
    /// # Errors
    /// A promise is broken, and which.
    pub fn listed(&mut self, unique_ids: &[String], is_complete: bool) -> Result<(), String> {
        let all: BTreeSet<&String> = unique_ids.iter().collect();
        if all.len() != unique_ids.len() {
            return Err("a unique-id is listed twice".to_owned());
        }
        let still: Vec<&String> = self.order.iter().filter(|id| all.contains(id)).collect();
        let known: BTreeSet<&String> = self.order.iter().collect();
        let now: Vec<&String> = unique_ids.iter().filter(|id| known.contains(id)).collect();
        if still != now {
            return Err(format!("the order has changed: {still:?}, now {now:?}"));
        }
        let there: BTreeSet<u64> = unique_ids.iter().filter_map(|id| self.serial(id)).collect();
        self.settle(&there)?;
        for (serial, state) in &self.messages {
            // One that was never seen may be among those whose header could not be read.
            let was_seen = self.serials.values().any(|known| known == serial);
            match state {
                State::Present if !there.contains(serial) && (was_seen || is_complete) => {
                    return Err(format!("message {serial} was acknowledged and is lost"));
                }
                State::Gone if there.contains(serial) => {
                    return Err(format!("message {serial} was deleted and is back"));
                }
                _ => {}
            }
        }
        self.order = unique_ids.to_vec();
        Ok(())
    }

    /// Finds out what became of QUITs without an answer: each deleted all or none.
    fn settle(&mut self, there: &BTreeSet<u64>) -> Result<(), String> {
        let mut sets: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (serial, state) in &self.messages {
            if let State::MaybeDeleted(quit) = state {
                sets.entry(*quit).or_default().push(*serial);
            }
        }
        for (_, set) in sets {
            let n_there = set.iter().filter(|serial| there.contains(serial)).count();
            let state = match n_there {
                0 => State::Gone,
                n if n == set.len() => State::Present,
                n => {
                    return Err(format!(
                        "of {} messages of one QUIT {n} are there: {set:?}",
                        set.len()
                    ));
                }
            };
            for serial in set {
                self.messages.insert(serial, state);
            }
        }
        Ok(())
    }

    /// What became of a QUIT that was to delete these.
    pub fn quit(&mut self, serials: &[u64], outcome: Outcome) {
        self.last_quit += 1;
        let state = match outcome {
            Outcome::Deleted => State::Gone,
            Outcome::NotDeleted => State::Present,
            Outcome::Unknown => State::MaybeDeleted(self.last_quit),
        };
        for serial in serials {
            self.messages.insert(*serial, state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages, delivered and learned.
    fn three() -> Mailbox {
        let mut mailbox = Mailbox::new("a@x", 1);
        for serial in 1..=3 {
            assert_eq!(mailbox.begin(), serial);
            mailbox.delivered(serial);
            mailbox
                .learn(&format!("u{serial}"), &mailbox.octets(serial))
                .unwrap();
        }
        mailbox.listed(&ids(&[1, 2, 3]), true).unwrap();
        mailbox
    }

    fn ids(serials: &[u64]) -> Vec<String> {
        serials.iter().map(|serial| format!("u{serial}")).collect()
    }

    #[test]
    fn a_lost_message_a_message_that_is_back_and_another_order_are_seen() {
        assert!(three().listed(&ids(&[1, 3]), true).unwrap_err().contains("lost"));
        assert!(
            three()
                .listed(&ids(&[1, 3, 2]), true)
                .unwrap_err()
                .contains("order")
        );
        assert!(
            three()
                .listed(&ids(&[1, 2, 2, 3]), true)
                .unwrap_err()
                .contains("twice")
        );
        let mut mailbox = three();
        mailbox.quit(&[2], Outcome::Deleted);
        assert!(
            mailbox
                .listed(&ids(&[1, 2, 3]), true)
                .unwrap_err()
                .contains("back")
        );
    }

    #[test]
    fn an_update_that_did_half_is_seen_and_a_whole_one_is_settled() {
        let mut mailbox = three();
        mailbox.quit(&[1, 2], Outcome::Unknown);
        assert!(
            mailbox
                .clone()
                .listed(&ids(&[2, 3]), true)
                .unwrap_err()
                .contains("one QUIT")
        );
        let mut none = mailbox.clone();
        none.listed(&ids(&[1, 2, 3]), true).unwrap();
        assert!(none.listed(&ids(&[3]), true).unwrap_err().contains("lost"));
        mailbox.listed(&ids(&[3]), true).unwrap();
        assert!(mailbox.listed(&ids(&[1, 2, 3]), true).is_err());
    }

    #[test]
    fn another_s_message_and_another_unique_id_are_seen() {
        let mut mailbox = three();
        let others = Mailbox::new("b@x", 1).octets(1);
        assert!(mailbox.learn("u9", &others).unwrap_err().contains("b@x"));
        let again = mailbox.octets(2);
        assert!(mailbox.learn("u9", &again).unwrap_err().contains("was u2"));
    }

    #[test]
    fn an_unsure_delivery_may_be_there_or_not_and_once_seen_stays() {
        let mut mailbox = three();
        let unsure = mailbox.begin();
        mailbox.listed(&ids(&[1, 2, 3]), true).unwrap();
        let octets = mailbox.octets(unsure);
        mailbox.learn("u4", &octets).unwrap();
        mailbox.listed(&ids(&[1, 2, 3, 4]), true).unwrap();
        assert!(
            mailbox
                .listed(&ids(&[1, 2, 3]), true)
                .unwrap_err()
                .contains("lost")
        );
    }
}
