//! A message on its way in: canonical, measured, and in bounded memory.
//!
//! Keeps a message between its first octet and its last delivery. Knows no protocol and no maildrop; nothing here
//! survives a crash, and nothing has to, because nothing has been acknowledged yet. Start at [`Spool::write`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use restante_message::{Canonicalizer, Measured};
use restante_types::Octets;
use tokio::task::spawn_blocking;

use crate::{BlobReader, StoreError, StoreErrorKind};

/// Octets of one message that are kept in memory; a longer one goes to a file. One write to that file.
const MEMORY: usize = 256 * 1024;
/// Octets that are canonicalised between two looks at the memory. Line ends can double them.
const STEP: usize = 32 * 1024;
/// Octets of one read from the file.
const PIECE: usize = 128 * 1024;

/// Where messages wait and how long they may be.
#[derive(Clone, Debug)]
pub struct SpoolSettings {
    /// The directory for messages above 256 KiB. Their files have no name: nobody else can open them and they are
    /// gone when the process ends.
    pub directory: PathBuf,
    /// The longest message, in octets of its canonical form.
    pub max_octets: Octets,
}

/// Why a message was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It has more octets than allowed.
    #[error("the message is longer than allowed")]
    TooLarge,
    /// The file could not be written: `Full` or `Unavailable`.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes one message as it arrives.
pub struct Spool {
    canonicalizer: Canonicalizer,
    kept: Kept,
    trouble: Option<SpoolError>,
    discarded: Octets,
}

impl Spool {
    /// An empty message.
    pub fn new(settings: SpoolSettings) -> Self {
        Self {
            canonicalizer: Canonicalizer::new(),
            kept: Kept {
                settings,
                memory: Vec::new(),
                file: None,
            },
            trouble: None,
            discarded: Octets::ZERO,
        }
    }

    /// Takes the next octets.
    ///
    /// Does not fail, so that a protocol can read on to the end of a message that will be refused: after the first
    /// trouble octets are counted and thrown away, what was kept is freed, and [`Spool::finish`] tells.
    ///
    /// # Cancel safety
    /// A cancelled call leaves the spool unusable; drop it.
    pub async fn write(&mut self, octets: &[u8]) {
        for step in octets.chunks(STEP) {
            if self.trouble.is_some() {
                self.discarded += Octets::of(step);
                continue;
            }
            self.canonicalizer.push(step, &mut self.kept.memory);
            if let Err(trouble) = self.kept.settle(MEMORY).await {
                self.trouble = Some(trouble);
                self.kept.clear();
            }
        }
    }

    /// How many octets were thrown away because the message is refused already.
    pub const fn discarded(&self) -> Octets {
        self.discarded
    }

    /// Ends the message.
    ///
    /// # Errors
    /// The first trouble that [`Spool::write`] met.
    pub async fn finish(self) -> Result<Spooled, SpoolError> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        let mut kept = self.kept;
        let measured = self.canonicalizer.finish(&mut kept.memory);
        let least = if kept.file.is_some() { 1 } else { usize::MAX };
        kept.settle(least).await?;
        let place = match kept.file {
            Some(file) => Place::File(file),
            None => Place::Memory(kept.memory.into()),
        };
        Ok(Spooled { measured, place })
    }
}

/// The canonical octets so far: first those of the file, then those of the memory.
struct Kept {
    settings: SpoolSettings,
    memory: Vec<u8>,
    file: Option<SpoolFile>,
}

impl Kept {
    /// Checks the size, and moves the memory to the file if it holds at least `least` octets.
    async fn settle(&mut self, least: usize) -> Result<(), SpoolError> {
        let in_file = self.file.as_ref().map_or(Octets::ZERO, |file| file.octets);
        if in_file + Octets::of(&self.memory) > self.settings.max_octets {
            return Err(SpoolError::TooLarge);
        }
        if self.memory.len() < least {
            return Ok(());
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => SpoolFile::create(self.settings.directory.clone()).await?,
        };
        let (file, memory) = file.append(std::mem::take(&mut self.memory)).await?;
        self.file = Some(file);
        self.memory = memory;
        Ok(())
    }

    fn clear(&mut self) {
        self.memory = Vec::new();
        self.file = None;
    }
}

impl std::fmt::Debug for Spool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spool")
            .field("in_memory", &self.kept.memory.len())
            .field("file", &self.kept.file)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

/// A whole message, ready to be delivered any number of times.
pub struct Spooled {
    measured: Measured,
    place: Place,
}

enum Place {
    Memory(Bytes),
    File(SpoolFile),
}

impl Spooled {
    /// What was measured while it arrived.
    pub const fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Reads the message from its start. Readers do not disturb each other.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader(match &self.place {
            Place::Memory(octets) => Source::Memory(octets.clone()),
            Place::File(file) => Source::File {
                file: file.clone(),
                at: 0,
            },
        })
    }
}

impl std::fmt::Debug for Spooled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Spooled({} octets)", self.measured.octets)
    }
}

/// Reads a [`Spooled`] message once.
#[derive(Debug)]
pub struct SpoolReader(Source);

enum Source {
    Memory(Bytes),
    File { file: SpoolFile, at: u64 },
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Memory(rest) => write!(f, "Memory({} octets to come)", rest.len()),
            Self::File { file, at } => write!(f, "File({file:?} at {at})"),
        }
    }
}

#[async_trait]
impl BlobReader for SpoolReader {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match &mut self.0 {
            Source::Memory(rest) => Ok((!rest.is_empty()).then(|| std::mem::take(rest))),
            Source::File { file, at } => {
                let piece = file.read(*at).await?;
                *at += piece.len() as u64;
                Ok((!piece.is_empty()).then_some(piece))
            }
        }
    }
}

/// A file without a name and how much of it is written. All its I/O is off the async threads.
#[derive(Clone, Debug)]
struct SpoolFile {
    file: Arc<File>,
    octets: Octets,
}

impl SpoolFile {
    async fn create(directory: PathBuf) -> Result<Self, StoreError> {
        let file = blocking(move || tempfile::tempfile_in(directory)).await?;
        Ok(Self {
            file: Arc::new(file),
            octets: Octets::ZERO,
        })
    }

    /// Writes `octets` behind what is there, and gives their memory back, emptied.
    async fn append(mut self, mut octets: Vec<u8>) -> Result<(Self, Vec<u8>), StoreError> {
        blocking(move || {
            self.file.write_all_at(&octets, self.octets.get())?;
            self.octets += Octets::of(&octets);
            octets.clear();
            Ok((self, octets))
        })
        .await
    }

    /// Up to a piece from `at`; empty at the end.
    async fn read(&self, at: u64) -> Result<Bytes, StoreError> {
        let to_come = self.octets.get().saturating_sub(at);
        let octets = usize::try_from(to_come).unwrap_or(PIECE).min(PIECE);
        if octets == 0 {
            return Ok(Bytes::new());
        }
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut piece = vec![0; octets];
            file.read_exact_at(&mut piece, at)?;
            Ok(piece.into())
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| StoreError::new(kind_of(&error), "spool", "spool").because(error)),
        Err(stopped) => Err(StoreError::new(StoreErrorKind::Unavailable, "spool", "spool").because(stopped)),
    }
}

fn kind_of(error: &io::Error) -> StoreErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StoreErrorKind::Full
        }
        io::ErrorKind::UnexpectedEof => StoreErrorKind::Damaged,
        _ => StoreErrorKind::Unavailable,
    }
}

#[cfg(test)]
mod tests;
