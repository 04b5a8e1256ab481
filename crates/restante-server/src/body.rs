//! A body on its way to the client.

use std::path::Path;

use bytes::Buf as _;
use restante_session::{CloseReason, Cut};
use restante_store::{
    BlobStores, Body, BodyRef, ForeignMaildrop, StoreError, StoreErrorKind, VERIFY, Verified, failpoint,
};
use restante_types::MessageNumber;
use restante_wire::DotStuffer;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Octets gathered before a write.
const WRITE_OCTETS: usize = 64 * 1024;
/// A piece that is at least so large is written from where it is, if it is neither stuffed nor the last.
const UNCOPIED_OCTETS: usize = 8 * 1024;
/// Room for the end of a line and the terminator.
const END_OCTETS: usize = 8;

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
/// Looked through also where delivery found no line to stuff: only the end of the body shows whether these are the
/// octets that were delivered, and a client must not find a terminator in those that were not.
pub(crate) async fn send(
    mut body: Body,
    stream: &mut (impl AsyncWrite + Unpin),
    out: &mut Vec<u8>,
    octets: &mut u64,
) -> Result<Verified, SendError> {
    let mut stuffer = DotStuffer::new();
    while let Some(piece) = body.next().await.map_err(SendError::Store)? {
        *octets += piece.len() as u64;
        let passes = stuffer.pass(&piece);
        if !passes && !body.has_dot_lines() {
            let why = "a line starts with a dot, and none did at delivery";
            return Err(SendError::Store(
                StoreError::new(StoreErrorKind::Damaged, VERIFY, "body").because(why),
            ));
        }
        if passes && piece.len() >= UNCOPIED_OCTETS && !body.may_be_over() {
            let mut both = out.as_slice().chain(piece);
            stream.write_all_buf(&mut both).await.map_err(SendError::Client)?;
            out.clear();
            continue;
        }
        out.reserve(piece.len() + END_OCTETS);
        if passes {
            out.extend_from_slice(&piece);
        } else {
            stuffer.stuff(&piece, out);
        }
        // While a client stalls one copy of the octets is enough.
        drop(piece);
        if out.len() >= WRITE_OCTETS {
            stream.write_all(out).await.map_err(SendError::Client)?;
            out.clear();
        }
    }
    failpoint("retr.unverified");
    body.finish().map_err(SendError::Store)
}
