//! The storage beneath a plugin: this tenant's blobs of it, nobody else's.

use bytes::Bytes;
use restante_store::{BlobKey, BlobReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wasmtime::component::Resource;

use crate::bindings::v1::restante::storage::{inner, types};
use crate::error::STORE;
use crate::imports::told;
use crate::instance::{Guest, PIECE};

/// Most keys that a plugin may list at once.
const KEYS: u32 = 1000;
/// Pieces on their way from a plugin to the storage beneath.
const PIECES: usize = 4;

/// A range of a blob beneath being read.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct InnerReader {
    reader: Box<dyn BlobReader>,
    rest: Bytes,
}

/// A blob beneath being written. Dropped without `finish`, the storage keeps nothing of it.
#[expect(unreachable_pub, reason = "the bindings re-export it")]
pub struct InnerWriter {
    /// `None` is the end.
    pieces: mpsc::Sender<Option<Bytes>>,
    put: JoinHandle<Result<(), StoreError>>,
}

/// What a plugin writes, as the storage beneath reads it.
struct Written(mpsc::Receiver<Option<Bytes>>);

#[async_trait::async_trait]
impl BlobReader for Written {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        self.0.recv().await.ok_or_else(|| {
            StoreError::new(StoreErrorKind::Unavailable, "put", STORE).because("the plugin gave the blob up")
        })
    }
}

impl Guest {
    fn key(&self, key: &str) -> Result<BlobKey, types::Error> {
        let number = u128::from_str_radix(key, 16)
            .ok()
            .filter(|number| format!("{number:032x}") == key);
        let invalid = || types::Error::Invalid("key: 32 digits of hexadecimal".to_owned());
        Ok(BlobKey {
            tenant: self.space.tenant,
            number: number.ok_or_else(invalid)?,
        })
    }

    fn beneath(&self) -> Result<std::sync::Arc<dyn restante_store::BlobStore>, types::Error> {
        self.setting.inner.clone().ok_or(types::Error::Unsupported)
    }
}

impl inner::Host for Guest {
    async fn put(
        &mut self,
        key: String,
        octets: u64,
    ) -> wasmtime::Result<Result<Resource<InnerWriter>, types::Error>> {
        let (key, store) = match (self.key(&key), self.beneath()) {
            (Ok(key), Ok(store)) => (key, store),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let (pieces, written) = mpsc::channel(PIECES);
        let put = tokio::spawn(async move { store.put(&key, Octets(octets), &mut Written(written)).await });
        Ok(Ok(self.table.push(InnerWriter { pieces, put })?))
    }

    async fn get(
        &mut self,
        key: String,
        start: u64,
        end: u64,
    ) -> wasmtime::Result<Result<Resource<InnerReader>, types::Error>> {
        let (key, store) = match (self.key(&key), self.beneath()) {
            (Ok(key), Ok(store)) => (key, store),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        let range = OctetRange {
            start: Octets(start),
            end: Octets(end),
        };
        match store.get(&key, range).await {
            Ok(reader) => Ok(Ok(self.table.push(InnerReader {
                reader,
                rest: Bytes::new(),
            })?)),
            Err(error) => Ok(Err(answered(&error))),
        }
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), types::Error>> {
        let (key, store) = match (self.key(&key), self.beneath()) {
            (Ok(key), Ok(store)) => (key, store),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
        };
        Ok(store.delete(&key).await.map_err(|error| answered(&error)))
    }

    async fn list(
        &mut self,
        after: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<String>, types::Error>> {
        if limit == 0 || limit > KEYS {
            return Ok(Err(types::Error::Invalid("limit: 1 to 1000 keys".to_owned())));
        }
        let store = match self.beneath() {
            Ok(store) => store,
            Err(error) => return Ok(Err(error)),
        };
        let after = match after.map(|key| self.key(&key)).transpose() {
            Ok(after) => after,
            Err(error) => return Ok(Err(error)),
        };
        let tenant = self.space.tenant;
        // Stores list all tenants' blobs, those of one in a row; number 0 is nobody's and comes before all others.
        let before_ours = BlobKey { tenant, number: 0 };
        let keys = store
            .list(Some(&after.unwrap_or(before_ours)), limit as usize)
            .await;
        let keys = keys.map_err(|error| answered(&error));
        Ok(keys.map(|keys| {
            keys.iter()
                .take_while(|key| key.tenant == tenant)
                .map(|key| format!("{:032x}", key.number))
                .collect()
        }))
    }
}

impl inner::HostWriter for Guest {
    async fn write(
        &mut self,
        writer: Resource<InnerWriter>,
        octets: Vec<u8>,
    ) -> wasmtime::Result<Result<(), types::Error>> {
        let writer = self.table.get_mut(&writer)?;
        if octets.is_empty() || octets.len() > PIECE as usize {
            return Ok(Err(types::Error::Invalid("octets: 1 to 256 KiB".to_owned())));
        }
        // A put that has ended takes no more; `finish` says how it ended.
        writer.pieces.send(Some(octets.into())).await.ok();
        Ok(Ok(()))
    }

    async fn finish(&mut self, writer: Resource<InnerWriter>) -> wasmtime::Result<Result<(), types::Error>> {
        let InnerWriter { pieces, put } = self.table.delete(writer)?;
        pieces.send(None).await.ok();
        let put = put.await.unwrap_or_else(|_| {
            Err(StoreError::new(StoreErrorKind::Unknown, "put", STORE).because("the put broke off"))
        });
        Ok(put.map_err(|error| answered(&error)))
    }

    async fn drop(&mut self, writer: Resource<InnerWriter>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

impl inner::HostReader for Guest {
    async fn read(
        &mut self,
        reader: Resource<InnerReader>,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        let reader = self.table.get_mut(&reader)?;
        let max = max.min(PIECE) as usize;
        while reader.rest.is_empty() {
            match reader.reader.next().await {
                Ok(Some(piece)) => reader.rest = piece,
                Ok(None) => return Ok(Ok(Vec::new())),
                Err(error) => return Ok(Err(answered(&error))),
            }
        }
        Ok(Ok(reader.rest.split_to(max.min(reader.rest.len())).to_vec()))
    }

    async fn drop(&mut self, reader: Resource<InnerReader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

/// What the plugin learns: more than of other faults of the host's, since the blobs are its own.
fn answered(error: &StoreError) -> types::Error {
    match error.kind {
        StoreErrorKind::NotFound => types::Error::NotFound,
        StoreErrorKind::Conflict => types::Error::Conflict,
        StoreErrorKind::Damaged => types::Error::Damaged("the storage beneath says so".to_owned()),
        StoreErrorKind::Invalid => types::Error::Invalid("the storage beneath says so".to_owned()),
        StoreErrorKind::Unsupported => types::Error::Unsupported,
        _ => told(error),
    }
}
