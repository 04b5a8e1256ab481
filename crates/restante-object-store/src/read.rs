//! Reads a part of a file, piece by piece.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use restante_store::{BlobReader, OctetRange, StoreError, StoreErrorKind};
use restante_types::Octets;

use crate::fault::{STORE, from_io};
use crate::gate::Gate;

/// The largest piece.
const PIECE: u64 = 64 * 1024;

/// An open file and what of it is still to come. A file deleted meanwhile is read to its end all the same.
#[derive(Debug)]
pub(crate) struct FileReader {
    gate: Gate,
    /// Absent while a piece is read, and after an error.
    file: Option<File>,
    left: Octets,
}

/// Opens `path` at the start of `range`.
pub(crate) fn open(path: &Path, range: OctetRange, gate: Gate) -> Result<FileReader, StoreError> {
    if range.start > range.end {
        return Err(StoreError::new(StoreErrorKind::Invalid, "get", STORE));
    }
    let io = |error| from_io(error, "get");
    let mut file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() < range.end.get() {
        return Err(ends_early("get"));
    }
    file.seek(SeekFrom::Start(range.start.get())).map_err(io)?;
    Ok(FileReader {
        gate,
        file: Some(file),
        left: range.len(),
    })
}

fn ends_early(op: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, op, STORE).because("the file is shorter than was recorded")
}

/// Reads exactly `octets`, or fails.
fn read_piece(mut file: File, octets: usize) -> Result<(File, Bytes), StoreError> {
    let mut piece = vec![0; octets];
    match file.read_exact(&mut piece) {
        Ok(()) => Ok((file, piece.into())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(ends_early("read")),
        Err(error) => Err(from_io(error, "read")),
    }
}

#[async_trait]
impl BlobReader for FileReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        if self.left == Octets::ZERO {
            return Ok(None);
        }
        let file = self
            .file
            .take()
            .ok_or_else(|| StoreError::new(StoreErrorKind::Invalid, "read", STORE))?;
        let octets = usize::try_from(self.left.get().min(PIECE))
            .map_err(|error| StoreError::new(StoreErrorKind::Invalid, "read", STORE).because(error))?;
        let (file, piece) = self.gate.run("read", move || read_piece(file, octets)).await?;
        self.file = Some(file);
        self.left = self.left - Octets::of(&piece);
        Ok(Some(piece))
    }
}
