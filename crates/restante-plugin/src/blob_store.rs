//! Blobs in a plugin of the world `blob-store`.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{BlobKey, BlobReader, BlobStore, ExactReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::{Octets, TenantId};
use wasmtime::component::ResourceAny;

use crate::error::{Fault, STORE};
use crate::instance::{Instance, PIECE, call};
use crate::pool::{Held, Pool, Pools};
use crate::slot::{PluginSlot, Setting};

/// How much is read ahead of a client at first, and at most, while no instance is held for it.
const FIRST_STRETCH: u64 = PIECE as u64;
const LARGEST_STRETCH: u64 = 4 * 1024 * 1024;
/// Most keys asked of a plugin at once.
const KEYS: usize = 1000;

/// A storage whose octets a plugin keeps. Each tenant has instances of its own.
pub struct PluginBlobStore {
    pools: Pools,
}

impl PluginBlobStore {
    /// A storage kept by the plugin of `slot`.
    pub fn new(slot: Arc<PluginSlot>, setting: Setting) -> Self {
        Self {
            pools: Pools::new(slot, setting),
        }
    }

    async fn list_of(
        &self,
        tenant: TenantId,
        after: Option<u128>,
        limit: usize,
    ) -> Result<Vec<BlobKey>, StoreError> {
        let pool = self.pools.of(tenant, "list")?;
        let mut instance = pool.hold("list").await?;
        let after_text = after.map(text);
        let limit = limit.min(KEYS);
        let keys = instance
            .list(after_text.as_ref(), u32::try_from(limit).unwrap_or(1))
            .await;
        let keys = keys.and_then(|keys| distinct(tenant, after, limit, &keys));
        pool.noted("list", keys)
    }
}

impl fmt::Display for PluginBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STORE)
    }
}

impl fmt::Debug for PluginBlobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginBlobStore({:?})", self.pools)
    }
}

#[async_trait]
impl BlobStore for PluginBlobStore {
    async fn put(&self, key: &BlobKey, octets: Octets, body: &mut dyn BlobReader) -> Result<(), StoreError> {
        let pool = self.pools.of(key.tenant, "put")?;
        let mut body = ExactReader::new(body, octets, STORE);
        let mut instance = pool.hold("put").await?;
        let writer = instance.put(&text(key.number), octets.get()).await;
        let writer = pool.noted("put", writer)?;
        loop {
            match body.next().await {
                Ok(Some(mut piece)) => {
                    while !piece.is_empty() {
                        let part = piece.split_to(piece.len().min(PIECE as usize));
                        let written = instance.write(writer, &part).await;
                        pool.noted("put", written)?;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    // The body is at fault, so the instance goes on; what was written is given up.
                    let given_up = instance.drop_resource(writer).await;
                    pool.noted("put", given_up)?;
                    return Err(error);
                }
            }
        }
        let finished = instance.finish(writer).await;
        pool.noted("put", finished)
    }

    async fn get(&self, key: &BlobKey, range: OctetRange) -> Result<Box<dyn BlobReader>, StoreError> {
        if range.start > range.end {
            return Err(StoreError::new(StoreErrorKind::Invalid, "get", STORE));
        }
        let mut reader = PluginReader {
            pool: self.pools.of(key.tenant, "get")?,
            key: text(key.number),
            next: range.start.get(),
            end: range.end.get(),
            stretch: FIRST_STRETCH,
            pieces: VecDeque::new(),
        };
        reader.read_stretch().await?;
        Ok(Box::new(reader))
    }

    async fn delete(&self, key: &BlobKey) -> Result<(), StoreError> {
        let pool = self.pools.of(key.tenant, "delete")?;
        let mut instance = pool.hold("delete").await?;
        let deleted = instance.delete(&text(key.number)).await;
        pool.noted("delete", deleted)
    }

    async fn list(&self, after: Option<&BlobKey>, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let first =
            TenantId::new(1).ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "list", STORE))?;
        let mut from = after.map_or(first, |key| key.tenant);
        let mut keys = Vec::new();
        loop {
            let tenants = self.pools.setting().tenants.from(from).await?;
            let Some(last) = tenants.last().copied() else {
                return Ok(keys);
            };
            for tenant in tenants {
                let mut after = after.filter(|key| key.tenant == tenant).map(|key| key.number);
                loop {
                    if keys.len() >= limit {
                        return Ok(keys);
                    }
                    let page = self.list_of(tenant, after, limit - keys.len()).await?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.number);
                    keys.extend(page);
                }
            }
            match TenantId::new(last.get().saturating_add(1)) {
                Some(next) => from = next,
                None => return Ok(keys),
            }
        }
    }
}

/// Reads a stretch, gives the instance back, and lets the client take its time.
struct PluginReader {
    pool: Arc<Pool>,
    key: String,
    next: u64,
    end: u64,
    stretch: u64,
    pieces: VecDeque<Bytes>,
}

impl PluginReader {
    async fn read_stretch(&mut self) -> Result<(), StoreError> {
        let stretch_end = self.end.min(self.next.saturating_add(self.stretch));
        let mut instance = self.pool.hold("get").await?;
        let read = read_range(&mut instance, &self.key, self.next, stretch_end, self.end).await;
        self.pieces = self.pool.noted("get", read)?;
        self.next = stretch_end;
        self.stretch = (self.stretch * 2).min(LARGEST_STRETCH);
        Ok(())
    }
}

/// Every octet from `start` to `end` of a blob that is said to have at least `least`.
async fn read_range(
    instance: &mut Held,
    key: &String,
    start: u64,
    end: u64,
    least: u64,
) -> Result<VecDeque<Bytes>, Fault> {
    // Asked for as a whole first, so that a blob that is too short is known before anything is sent.
    let reader = instance.get(key, start, least).await?;
    let mut pieces = VecDeque::new();
    let mut left = end - start;
    while left > 0 {
        let max = u32::try_from(left).unwrap_or(PIECE).min(PIECE);
        let piece = instance.read(reader, max).await?;
        let octets = piece.len() as u64;
        if piece.is_empty() {
            return Err(Fault::Nonsense("the plugin's reader ended before the range did"));
        }
        if octets > u64::from(max) {
            return Err(Fault::Nonsense(
                "the plugin answered more octets than it was asked for",
            ));
        }
        left -= octets;
        pieces.push_back(Bytes::from(piece));
    }
    if end == least && !instance.read(reader, 1).await?.is_empty() {
        return Err(Fault::Nonsense("the plugin's reader goes on after the range"));
    }
    instance.drop_resource(reader).await?;
    Ok(pieces)
}

#[async_trait]
impl BlobReader for PluginReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.pieces.is_empty() && self.next < self.end {
            self.read_stretch().await?;
        }
        Ok(self.pieces.pop_front())
    }
}

/// A key as plugins see it.
fn text(number: u128) -> String {
    format!("{number:032x}")
}

/// The keys that a plugin listed, if they are what the WIT says.
fn distinct(
    tenant: TenantId,
    after: Option<u128>,
    limit: usize,
    keys: &[String],
) -> Result<Vec<BlobKey>, Fault> {
    if keys.len() > limit {
        return Err(Fault::Nonsense(
            "the plugin listed more keys than it was asked for",
        ));
    }
    let mut seen: HashSet<u128> = after.into_iter().collect();
    keys.iter()
        .map(|key| {
            let number = u128::from_str_radix(key, 16)
                .ok()
                .filter(|number| text(*number) == *key);
            let number = number.ok_or(Fault::Nonsense("the plugin listed what is no key"))?;
            if !seen.insert(number) {
                return Err(Fault::Nonsense("the plugin listed a key twice"));
            }
            Ok(BlobKey { tenant, number })
        })
        .collect()
}

impl Instance {
    async fn put(&mut self, key: &String, octets: u64) -> Result<ResourceAny, Fault> {
        self.uses += 1;
        let blobs = self.blobs()?;
        call!(self, "put", blobs.call_put(&mut self.store, key, octets))
    }

    async fn write(&mut self, writer: ResourceAny, octets: &[u8]) -> Result<(), Fault> {
        self.octets += octets.len() as u64;
        let blobs = self.blobs()?;
        call!(
            self,
            "write",
            blobs.writer().call_write(&mut self.store, writer, octets)
        )
    }

    async fn finish(&mut self, writer: ResourceAny) -> Result<(), Fault> {
        let blobs = self.blobs()?;
        call!(
            self,
            "finish",
            blobs.writer().call_finish(&mut self.store, writer)
        )
    }

    async fn get(&mut self, key: &String, start: u64, end: u64) -> Result<ResourceAny, Fault> {
        self.uses += 1;
        let blobs = self.blobs()?;
        call!(self, "get", blobs.call_get(&mut self.store, key, start, end))
    }

    async fn read(&mut self, reader: ResourceAny, max: u32) -> Result<Vec<u8>, Fault> {
        let blobs = self.blobs()?;
        let octets = call!(
            self,
            "read",
            blobs.reader().call_read(&mut self.store, reader, max)
        )?;
        self.octets += octets.len() as u64;
        Ok(octets)
    }

    async fn delete(&mut self, key: &String) -> Result<(), Fault> {
        self.uses += 1;
        let blobs = self.blobs()?;
        call!(self, "delete", blobs.call_delete(&mut self.store, key))
    }

    async fn list(&mut self, after: Option<&String>, limit: u32) -> Result<Vec<String>, Fault> {
        self.uses += 1;
        let blobs = self.blobs()?;
        call!(self, "list", blobs.call_list(&mut self.store, after, limit))
    }
}
