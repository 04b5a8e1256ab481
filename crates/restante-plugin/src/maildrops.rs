//! Maildrops in a plugin of the world `maildrop`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{
    BlobReader, ExactReader, ForeignEntry, ForeignMaildrops, Owner, StoreError, StoreErrorKind,
};
use restante_types::{Fence, Octets, SessionId, UniqueId};
use wasmtime::component::ResourceAny;

use crate::bindings::v1_maildrop::exports::restante::storage::maildrops as wit;
use crate::error::{Fault, STORE};
use crate::instance::{Instance, PIECE, call};
use crate::pool::{Held, Pool, Pools};
use crate::slot::{PluginSlot, Setting};

/// Messages of one page of a list.
const PAGE: u32 = 1000;
/// Most messages of a maildrop: more than POP3 clients can bear.
const MOST: usize = 1_000_000;
/// Most octets of all ids of a maildrop together: what one listing may take of the server's memory.
const IDS: usize = 32 * 1024 * 1024;
/// Longest id, in octets.
const ID: usize = 255;
/// How often a list is begun anew because a message went meanwhile.
const RESTARTS: usize = 3;

/// The maildrops that a plugin shows. Each tenant has instances of its own.
pub struct PluginMaildrops {
    pools: Pools,
}

impl PluginMaildrops {
    /// The maildrops of the plugin of `slot`.
    pub fn new(slot: Arc<PluginSlot>, setting: Setting) -> Self {
        Self {
            pools: Pools::new(slot, setting),
        }
    }

    fn pool(&self, owner: &Owner, op: &'static str) -> Result<Arc<Pool>, StoreError> {
        self.pools.of(owner.maildrop.tenant(), op)
    }
}

impl fmt::Display for PluginMaildrops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for PluginMaildrops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginMaildrops({:?})", self.pools)
    }
}

#[async_trait]
impl ForeignMaildrops for PluginMaildrops {
    async fn list(&self, owner: &Owner) -> Result<Vec<ForeignEntry>, StoreError> {
        const OP: &str = "snapshot";
        let pool = self.pool(owner, OP)?;
        let account = account(owner);
        for _ in 0..RESTARTS {
            let mut instance = pool.hold(OP).await?;
            let listed = list_all(&mut instance, &account).await;
            if let Some(entries) = pool.noted(OP, listed)? {
                return Ok(entries);
            }
        }
        Err(StoreError::new(StoreErrorKind::Unavailable, OP, STORE)
            .because("messages went again and again while they were listed"))
    }

    async fn open(
        &self,
        owner: &Owner,
        id: &str,
        octets: Option<Octets>,
    ) -> Result<Box<dyn BlobReader>, StoreError> {
        const OP: &str = "get";
        let pool = self.pool(owner, OP)?;
        let mut instance = pool.hold(OP).await?;
        let opened = instance.open(&account(owner), id, octets.map(Octets::get)).await;
        let reader = pool.noted(OP, opened)?;
        Ok(Box::new(MessageReader {
            pool,
            instance,
            reader,
            has_ended: false,
        }))
    }

    async fn remove(
        &self,
        owner: &Owner,
        fence: &Fence,
        session: SessionId,
        ids: &[&str],
    ) -> Result<(), StoreError> {
        const OP: &str = "commit";
        let pool = self.pool(owner, OP)?;
        let mut instance = pool.hold(OP).await?;
        let fence = wit::Fence {
            token: fence.token.get(),
            session: session.to_string(),
        };
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let removed = instance.remove(&account(owner), &fence, &ids).await;
        // A plugin that broke off may have removed some: nobody but it can tell.
        let broke_off = matches!(&removed, Err(fault) if fault.is_breakage());
        pool.noted(OP, removed).map_err(|error| {
            if broke_off {
                StoreError::new(StoreErrorKind::Unknown, OP, STORE).because(error)
            } else {
                error
            }
        })
    }

    async fn append(
        &self,
        owner: &Owner,
        octets: Octets,
        body: &mut dyn BlobReader,
    ) -> Result<UniqueId, StoreError> {
        const OP: &str = "deliver";
        let pool = self.pool(owner, OP)?;
        let mut body = ExactReader::new(body, octets, STORE);
        let mut instance = pool.hold(OP).await?;
        let writer = instance.append(&account(owner), octets.get()).await;
        let writer = pool.noted(OP, writer)?;
        loop {
            match body.next().await {
                Ok(Some(mut piece)) => {
                    while !piece.is_empty() {
                        let part = piece.split_to(piece.len().min(PIECE as usize));
                        let written = instance.write_message(writer, &part).await;
                        pool.noted(OP, written)?;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let given_up = instance.drop_resource(writer).await;
                    pool.noted(OP, given_up)?;
                    return Err(error);
                }
            }
        }
        let finished = instance.finish_message(writer).await;
        let entry = finished.and_then(|entry| checked(&entry));
        pool.noted(OP, entry).map(|entry| entry.unique_id)
    }
}

/// All messages, a page after the other; `None` if the last one of a page went before the next page was asked for.
async fn list_all(instance: &mut Held, account: &wit::Account) -> Result<Option<Vec<ForeignEntry>>, Fault> {
    let mut entries: Vec<ForeignEntry> = Vec::new();
    let mut octets = 0;
    loop {
        let after = entries.last().map(|entry| entry.id.clone());
        let page = match instance.list_messages(account, after.as_deref(), PAGE).await {
            Err(Fault::Refused(wit::Error::NotFound)) if after.is_some() => return Ok(None),
            page => page?,
        };
        if page.is_empty() {
            return Ok(Some(entries));
        }
        if page.len() > PAGE as usize {
            return Err(Fault::Nonsense(
                "the plugin listed more messages than it was asked for",
            ));
        }
        octets += page.iter().map(|entry| entry.id.len()).sum::<usize>();
        if entries.len() + page.len() > MOST || octets > IDS {
            return Err(Fault::Nonsense("the plugin lists more than a maildrop may have"));
        }
        for entry in &page {
            entries.push(checked(entry)?);
        }
    }
}

fn checked(entry: &wit::Entry) -> Result<ForeignEntry, Fault> {
    let is_id = |id: &str| (1..=ID).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_id(&entry.id) {
        return Err(Fault::Nonsense(
            "the plugin listed an id that is not 1 to 255 printable octets",
        ));
    }
    let unique_id = UniqueId::new(entry.unique_id.as_str())
        .map_err(|_| Fault::Nonsense("the plugin listed a unique-id that RFC 1939 does not allow"))?;
    Ok(ForeignEntry {
        id: entry.id.clone(),
        unique_id,
        octets: Octets(entry.octets),
    })
}

fn account(owner: &Owner) -> wit::Account {
    wit::Account {
        id: owner.maildrop.number().unsigned_abs(),
        name: owner.name.clone(),
    }
}

/// Reads a message while it holds an instance. It is read into a spool, at the plugin's pace.
struct MessageReader {
    pool: Arc<Pool>,
    instance: Held,
    reader: ResourceAny,
    has_ended: bool,
}

#[async_trait]
impl BlobReader for MessageReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        const OP: &str = "get";
        if self.has_ended {
            return Ok(None);
        }
        let piece = self.instance.read_message(self.reader, PIECE).await;
        let piece = self.pool.noted(OP, piece)?;
        if piece.is_empty() {
            self.has_ended = true;
            let dropped = self.instance.drop_resource(self.reader).await;
            self.pool.noted(OP, dropped)?;
            return Ok(None);
        }
        Ok(Some(piece.into()))
    }
}

impl Instance {
    async fn list_messages(
        &mut self,
        account: &wit::Account,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<wit::Entry>, Fault> {
        self.uses += 1;
        let maildrops = self.maildrops()?;
        call!(
            self,
            "list",
            maildrops.call_list(&mut self.store, account, after, limit)
        )
    }

    async fn open(
        &mut self,
        account: &wit::Account,
        id: &str,
        octets: Option<u64>,
    ) -> Result<ResourceAny, Fault> {
        self.uses += 1;
        let maildrops = self.maildrops()?;
        call!(
            self,
            "open",
            maildrops.call_open(&mut self.store, account, id, octets)
        )
    }

    async fn read_message(&mut self, reader: ResourceAny, max: u32) -> Result<Vec<u8>, Fault> {
        let maildrops = self.maildrops()?;
        let octets = call!(
            self,
            "read",
            maildrops.reader().call_read(&mut self.store, reader, max)
        )?;
        self.octets += octets.len() as u64;
        if octets.len() > max as usize {
            return Err(Fault::Nonsense(
                "the plugin answered more octets than it was asked for",
            ));
        }
        Ok(octets)
    }

    async fn remove(
        &mut self,
        account: &wit::Account,
        fence: &wit::Fence,
        ids: &[String],
    ) -> Result<(), Fault> {
        self.uses += 1;
        let maildrops = self.maildrops()?;
        call!(
            self,
            "remove",
            maildrops.call_remove(&mut self.store, account, fence, ids)
        )
    }

    async fn append(&mut self, account: &wit::Account, octets: u64) -> Result<ResourceAny, Fault> {
        self.uses += 1;
        let maildrops = self.maildrops()?;
        call!(
            self,
            "append",
            maildrops.call_append(&mut self.store, account, octets)
        )
    }

    async fn write_message(&mut self, writer: ResourceAny, octets: &[u8]) -> Result<(), Fault> {
        self.octets += octets.len() as u64;
        let maildrops = self.maildrops()?;
        call!(
            self,
            "write",
            maildrops.writer().call_write(&mut self.store, writer, octets)
        )
    }

    async fn finish_message(&mut self, writer: ResourceAny) -> Result<wit::Entry, Fault> {
        let maildrops = self.maildrops()?;
        call!(
            self,
            "finish",
            maildrops.writer().call_finish(&mut self.store, writer)
        )
    }
}
