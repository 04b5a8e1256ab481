//! Which messages an account has.

use crate::exports::restante::storage::maildrops::Entry;
use crate::record::{RECORD, Record};
use crate::restante::storage::key_value;
use crate::restante::storage::types::Error;

/// Most messages of an account: the host keeps values of at most 256 KiB.
const MOST: usize = (256 * 1024 - 16) / RECORD;
/// How often a change is tried. Each time that it fails, somebody else's has succeeded.
const TRIES: u32 = 100;

/// The messages of an account, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The number of the newest message that ever was.
    newest: u64,
    /// The largest fence token that was seen.
    token: u64,
    records: Vec<Record>,
}

impl Catalogue {
    pub fn load(account: u64) -> Result<Self, Error> {
        match key_value::get(&name(account))? {
            Some(value) => Self::parse(&value),
            None => Ok(Self::default()),
        }
    }

    /// Changes an account's catalogue, or leaves it as it is if `change` fails. `change` is called again, with what is
    /// there then, when somebody else was faster.
    pub fn change<T>(account: u64, change: impl Fn(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        let name = name(account);
        for _ in 0..TRIES {
            let old = key_value::get(&name)?;
            let mut catalogue = match &old {
                Some(value) => Self::parse(value)?,
                None => Self::default(),
            };
            let answer = change(&mut catalogue)?;
            if key_value::compare_and_set(&name, old.as_deref(), &catalogue.to_octets())? {
                return Ok(answer);
            }
        }
        Err(Error::Unavailable(
            "others change the maildrop all the time".to_owned(),
        ))
    }

    pub fn is_full(&self) -> bool {
        self.records.len() >= MOST
    }

    /// The messages that follow the message `after`; all of them if that is none.
    pub fn after(&self, after: Option<&str>) -> Result<&[Record], Error> {
        match after {
            Some(id) => {
                let place = self.place(id).ok_or(Error::NotFound)?;
                Ok(&self.records[place + 1..])
            }
            None => Ok(&self.records),
        }
    }

    pub fn find(&self, id: &str) -> Option<&Record> {
        self.place(id).map(|place| &self.records[place])
    }

    /// Puts a message behind all others, under a number that no message had before.
    pub fn append(&mut self, record: &Record) -> Result<Entry, Error> {
        if self.is_full() {
            return Err(Error::Full);
        }
        self.newest += 1;
        let record = Record {
            number: self.newest,
            ..record.clone()
        };
        let entry = record.entry();
        self.records.push(record);
        Ok(entry)
    }

    /// Takes out the messages of `ids` that are there, for the session that bears `token`.
    pub fn remove(&mut self, token: u64, ids: &[String]) -> Result<Vec<Record>, Error> {
        if token < self.token {
            return Err(Error::Denied(
                "a later session has removed messages already".to_owned(),
            ));
        }
        self.token = token;
        let mut places: Vec<usize> = ids.iter().filter_map(|id| self.place(id)).collect();
        places.sort_unstable();
        places.dedup();
        // From the last to the first, so that the places of those to come stay what they are.
        Ok(places
            .into_iter()
            .rev()
            .map(|place| self.records.remove(place))
            .collect())
    }

    fn place(&self, id: &str) -> Option<usize> {
        let number = u64::from_str_radix(id, 16).ok()?;
        let place = self
            .records
            .binary_search_by_key(&number, |record| record.number)
            .ok()?;
        // A number can be written in many ways; one of them is the id.
        (self.records[place].id() == id).then_some(place)
    }

    fn parse(value: &[u8]) -> Result<Self, Error> {
        let parsed = || {
            let (newest, value) = value.split_first_chunk()?;
            let (token, value) = value.split_first_chunk()?;
            Some(Self {
                newest: u64::from_be_bytes(*newest),
                token: u64::from_be_bytes(*token),
                records: value.chunks(RECORD).map(Record::parse).collect::<Option<_>>()?,
            })
        };
        parsed().ok_or_else(|| Error::Damaged("the catalogue cannot be read".to_owned()))
    }

    fn to_octets(&self) -> Vec<u8> {
        let mut value = self.newest.to_be_bytes().to_vec();
        value.extend(self.token.to_be_bytes());
        for record in &self.records {
            record.write_to(&mut value);
        }
        value
    }
}

fn name(account: u64) -> String {
    format!("catalogue/{account:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(n: u8) -> Catalogue {
        let mut catalogue = Catalogue::default();
        for nth in 1..=n {
            let record = Record {
                number: 0,
                octets: u64::from(nth) * 100,
                name: [nth; 16],
            };
            catalogue.append(&record).unwrap();
        }
        catalogue
    }

    fn ids(records: &[Record]) -> Vec<String> {
        records.iter().map(Record::id).collect()
    }

    fn id(number: u64) -> String {
        format!("{number:016x}")
    }

    #[test]
    fn a_catalogue_comes_back() {
        for n in [0, 1, 200] {
            let mut catalogue = filled(n);
            catalogue.remove(7, &[id(1)]).unwrap();
            let value = catalogue.to_octets();
            assert_eq!(Catalogue::parse(&value).unwrap(), catalogue);
            assert!(Catalogue::parse(&value[1..]).is_err());
        }
    }

    #[test]
    fn messages_come_in_the_order_of_arrival() {
        let catalogue = filled(20);
        let ids = ids(catalogue.after(None).unwrap());
        assert_eq!(ids.len(), 20);
        assert!(ids.is_sorted());
    }

    #[test]
    fn a_list_goes_on_after_a_message() {
        let mut catalogue = filled(4);
        assert_eq!(ids(catalogue.after(Some(&id(2))).unwrap()), [id(3), id(4)]);
        assert_eq!(ids(catalogue.after(Some(&id(4))).unwrap()), [""; 0]);

        catalogue.remove(1, &[id(2)]).unwrap();
        assert!(matches!(catalogue.after(Some(&id(2))), Err(Error::NotFound)));
    }

    #[test]
    fn an_id_is_found_as_it_was_listed() {
        let catalogue = filled(12);
        assert_eq!(catalogue.find(&id(10)).unwrap().octets, 1000);
        for id in [
            "",
            "a",
            "000000000000000A",
            "+00000000000000a",
            "0000000000000000",
            "no",
        ] {
            assert_eq!(catalogue.find(id), None, "{id}");
        }
    }

    #[test]
    fn removal_takes_what_is_there_and_no_other() {
        let mut catalogue = filled(5);
        let removed = catalogue.remove(1, &[id(4), id(2), id(9), id(4)]).unwrap();
        assert_eq!(ids(&removed), [id(4), id(2)]);
        assert_eq!(ids(catalogue.after(None).unwrap()), [id(1), id(3), id(5)]);
        assert_eq!(catalogue.remove(1, &[id(4), id(2)]).unwrap(), []);
    }

    #[test]
    fn an_overtaken_session_removes_nothing() {
        let mut catalogue = filled(2);
        catalogue.remove(5, &[]).unwrap();
        assert!(matches!(catalogue.remove(4, &[id(1)]), Err(Error::Denied(_))));
        assert_eq!(catalogue.remove(5, &[id(1)]).unwrap().len(), 1);
        assert_eq!(catalogue.remove(6, &[id(2)]).unwrap().len(), 1);
    }

    #[test]
    fn an_id_is_never_used_again() {
        let mut catalogue = filled(3);
        catalogue.remove(1, &[id(2), id(3)]).unwrap();
        let record = catalogue.records[0].clone();
        assert_eq!(catalogue.append(&record).unwrap().id, id(4));
    }

    #[test]
    fn a_full_catalogue_fits_a_value() {
        let mut catalogue = filled(1);
        let record = catalogue.records[0].clone();
        while !catalogue.is_full() {
            catalogue.append(&record).unwrap();
        }
        assert!(matches!(catalogue.append(&record), Err(Error::Full)));
        assert_eq!(catalogue.records.len(), 8191);
        assert!(catalogue.to_octets().len() <= 256 * 1024);
    }
}
