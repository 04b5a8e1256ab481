//! What an instance knows: its configuration, and answers that it need not ask for again.

use std::cell::RefCell;
use std::rc::Rc;

use crate::config::Config;
use crate::restante::storage::types::Error;
use crate::session::Session;

thread_local! {
    static INSTANCE: RefCell<Option<Rc<Instance>>> = const { RefCell::new(None) };
}

pub struct Instance {
    pub config: Config,
    /// With the `Authorization` that it is for.
    session: RefCell<Option<(String, Rc<Session>)>>,
    /// With the JMAP account that it is of.
    mailbox: RefCell<Option<(String, String)>>,
}

impl Instance {
    pub fn set(config: Config) {
        let instance = Self {
            config,
            session: RefCell::default(),
            mailbox: RefCell::default(),
        };
        INSTANCE.set(Some(Rc::new(instance)));
    }

    pub fn get() -> Result<Rc<Self>, Error> {
        INSTANCE.with_borrow(|instance| {
            instance
                .clone()
                .ok_or_else(|| Error::Invalid("not configured".to_owned()))
        })
    }

    pub fn session(&self, authorization: &str) -> Option<Rc<Session>> {
        match &*self.session.borrow() {
            Some((known, session)) if known == authorization => Some(Rc::clone(session)),
            _ => None,
        }
    }

    pub fn keep_session(&self, authorization: &str, session: &Rc<Session>) {
        self.session
            .replace(Some((authorization.to_owned(), Rc::clone(session))));
    }

    /// The next call asks for it again.
    pub fn forget_session(&self) {
        self.session.take();
    }

    pub fn mailbox(&self, account: &str) -> Option<String> {
        match &*self.mailbox.borrow() {
            Some((known, mailbox)) if known == account => Some(mailbox.clone()),
            _ => None,
        }
    }

    pub fn keep_mailbox(&self, account: &str, mailbox: &str) {
        self.mailbox
            .replace(Some((account.to_owned(), mailbox.to_owned())));
    }
}
