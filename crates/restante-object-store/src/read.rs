//! Reads a part of a file, piece by piece.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{BlobReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;

use crate::cached;
use crate::fault::{STORE, from_io};
use crate::gate::Gate;

/// The largest piece.
const PIECE: u64 = 64 * 1024;

/// An open file and what of it is still to come. A file deleted meanwhile is read to its end all the same.
///
/// Octets in memory are read on the caller's thread; to give them to another one and back costs more than the reading.
#[derive(Debug)]
pub(crate) struct FileReader {
    gate: Gate,
    /// Absent while another thread reads, and after an error.
    file: Option<File>,
    /// Read when the file was opened.
    first: Option<Bytes>,
    /// What is still to be read.
    left: OctetRange,
    /// What was given last, for its room once nobody else has it: to make new room costs more than to fill it.
    given: Bytes,
    /// Whether the file system may know what is in memory.
    knows_memory: bool,
}

/// Opens `path` for `range` without a wait. `None` says that it was not opened; [`open`] finds out why.
pub(crate) fn open_cached(path: &Path, range: OctetRange, gate: &Gate) -> Option<FileReader> {
    let file = cached::open(path).ok()?;
    match in_one_piece(&file, range, gate) {
        Some(first) => Some(FileReader {
            gate: gate.clone(),
            file: None,
            first: Some(first),
            left: OctetRange {
                start: range.end,
                ..range
            },
            given: Bytes::new(),
            knows_memory: true,
        }),
        None => FileReader::new(file, range, gate.clone()).ok(),
    }
}

/// All of a short range, if it is in memory: then the file is as long as was recorded, and not needed any more.
fn in_one_piece(file: &File, range: OctetRange, gate: &Gate) -> Option<Bytes> {
    let octets = range.len().get();
    if octets == 0 || octets > PIECE || !gate.may_miss() {
        return None;
    }
    let octets = usize::try_from(octets).ok()?;
    let piece = cached::read(file, Vec::new(), octets, range.start.get()).ok()?;
    (piece.len() == octets).then(|| piece.into())
}

/// Opens `path` for `range`. Reads the first piece too, so that the caller waits once.
pub(crate) fn open(path: &Path, range: OctetRange, gate: Gate) -> Result<FileReader, StoreError> {
    let file = cached::open_waiting(path).map_err(|error| from_io(error, "get"))?;
    let mut reader = FileReader::new(file, range, gate)?;
    if let Some(file) = reader.file.as_ref().filter(|_| !range.is_empty()) {
        let first = fill(file, Vec::new(), reader.next_octets()?, range.start)?;
        reader.left.start += Octets::of(&first);
        reader.first = Some(first);
    }
    Ok(reader)
}

fn ends_early(op: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, op, STORE).because("the file is shorter than was recorded")
}

/// Reads what `piece`, whose first octet is at `start`, lacks of `octets`; all of it, or fails.
fn fill(file: &File, mut piece: Vec<u8>, octets: usize, start: Octets) -> Result<Bytes, StoreError> {
    let offset = start + Octets::of(&piece);
    let missing = piece.len()..;
    piece.resize(octets, 0);
    let missing = piece.get_mut(missing).unwrap_or_default();
    match file.read_exact_at(missing, offset.get()) {
        Ok(()) => Ok(piece.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ends_early("read")),
        Err(error) => Err(from_io(error, "read")),
    }
}

impl FileReader {
    fn new(file: File, range: OctetRange, gate: Gate) -> Result<Self, StoreError> {
        let metadata = file.metadata().map_err(|error| from_io(error, "get"))?;
        if metadata.len() < range.end.get() {
            return Err(ends_early("get"));
        }
        Ok(Self {
            gate,
            file: Some(file),
            first: None,
            left: range,
            given: Bytes::new(),
            knows_memory: true,
        })
    }

    /// How long the next piece is.
    fn next_octets(&self) -> Result<usize, StoreError> {
        usize::try_from(self.left.len().get().min(PIECE))
            .map_err(|error| StoreError::new(StoreErrorKind::Invalid, "read", STORE).because(error))
    }

    /// Room for the next piece.
    fn room(&mut self) -> Vec<u8> {
        let given = std::mem::take(&mut self.given);
        if given.is_unique() {
            given.into()
        } else {
            Vec::new()
        }
    }

    /// The part of the next piece that is in memory.
    fn in_memory(&mut self, file: &File, octets: usize) -> Vec<u8> {
        if !self.knows_memory || !self.gate.may_miss() {
            return Vec::new();
        }
        let room = self.room();
        cached::read(file, room, octets, self.left.start.get()).unwrap_or_else(|_| {
            self.knows_memory = false;
            Vec::new()
        })
    }
}

#[async_trait]
impl BlobReader for FileReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        // Nothing else here ever waits when all is in memory: a caller that only reads would let no other task run.
        tokio::task::coop::consume_budget().await;
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.left.is_empty() {
            return Ok(None);
        }
        let file = self
            .file
            .take()
            .ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "read", STORE))?;
        let octets = self.next_octets()?;
        let piece = self.in_memory(&file, octets);
        let (file, piece) = if piece.len() == octets {
            (file, piece.into())
        } else {
            let (start, missed) = (self.left.start, self.gate.missed());
            let read = move || {
                let piece = fill(&file, piece, octets, start)?;
                drop(missed);
                Ok((file, piece))
            };
            self.gate.run("read", read).await?
        };
        self.file = Some(file);
        self.left.start += Octets::of(&piece);
        if !self.left.is_empty() {
            self.given = piece.clone();
        }
        Ok(Some(piece))
    }
}
