//! A body on its way to the client.

use std::path::Path;

use restante_session::{CloseReason, Cut};
use restante_store::{
    BlobStores, Body, BodyRef, ForeignMaildrop, StoreError, StoreErrorKind, VERIFY, Verified, failpoint,
};
use restante_types::MessageNumber;
use restante_wire::DotStuffer;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Octets gathered before a write.
const WRITE_OCTETS: usize = 64 * 1024;

/// Opens as much of a message as was asked for.
pub(crate) async fn open(blobs: &BlobStores, body: &BodyRef, cut: Cut) -> Result<Body, StoreError> {
    match cut {
        Cut::Whole => Body::whole(blobs, body).await,
        Cut::Top { lines } => Body::top(blobs, body, lines).await,
    }
}

/// Fetches as much of a message of another mail system, and compares it with what was listed.
pub(crate) async fn fetch(
    maildrop: &ForeignMaildrop,
    message: MessageNumber,
    cut: Cut,
    spool_directory: &Path,
) -> Result<Body, StoreError> {
    match cut {
        Cut::Whole => {
            let message = maildrop.fetch(message, spool_directory).await?;
            Ok(Body::of_spooled(&message, None))
        }
        Cut::Top { lines } => {
            let message = maildrop.fetch_top(message, lines, spool_directory).await?;
            Ok(Body::of_spooled(&message, Some(lines)))
        }
    }
}

/// Why a body broke off.
#[derive(Debug)]
pub(crate) enum SendError {
    Store(StoreError),
    Client(std::io::Error),
}

impl SendError {
    pub(crate) const fn reason(&self) -> CloseReason {
        match self {
            Self::Store(_) => CloseReason::BodyFault,
            Self::Client(_) => CloseReason::SlowReader,
        }
    }
}

/// Sends a body, stuffed, behind what is in `out`. Its end stays in `out`, so that the terminator goes out in one
/// segment with it. `octets` counts those of the body, also when it breaks off.
///
/// Stuffed also where delivery found no line to stuff: only the end of the body shows whether these are the octets
/// that were delivered, and a client must not find a terminator in those that were not.
pub(crate) async fn send(
    mut body: Body,
    stream: &mut (impl AsyncWrite + Unpin),
    out: &mut Vec<u8>,
    octets: &mut u64,
) -> Result<Verified, SendError> {
    let mut stuffer = DotStuffer::new();
    while let Some(piece) = body.next().await.map_err(SendError::Store)? {
        let before = out.len();
        stuffer.stuff(&piece, out);
        *octets += piece.len() as u64;
        if !body.has_dot_lines() && out.len() - before != piece.len() {
            let why = "a line starts with a dot, and none did at delivery";
            return Err(SendError::Store(
                StoreError::new(StoreErrorKind::Damaged, VERIFY, "body").because(why),
            ));
        }
        // A client that stalls holds one copy of the octets, not two.
        drop(piece);
        if out.len() >= WRITE_OCTETS {
            stream.write_all(out).await.map_err(SendError::Client)?;
            out.clear();
        }
    }
    failpoint("retr.unverified");
    body.finish().map_err(SendError::Store)
}
