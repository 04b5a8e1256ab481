//! The long listings of LIST and UIDL (RFC 1939 sections 5 and 7), written piece by piece.

use restante_types::MessageNumber;
use restante_wire::response;

use crate::{DeleteSet, Snapshot};

/// A listing in progress.
#[derive(Debug)]
pub(crate) struct Listing {
    kind: Kind,
    next_index: usize,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Scan,
    UniqueIds,
}

impl Listing {
    /// LIST.
    pub(crate) const fn scan() -> Self {
        Self {
            kind: Kind::Scan,
            next_index: 0,
        }
    }

    /// UIDL.
    pub(crate) const fn unique_ids() -> Self {
        Self {
            kind: Kind::UniqueIds,
            next_index: 0,
        }
    }

    /// Writes lines until `out` has `high_water` octets; `None` once the terminator is written.
    pub(crate) fn write(
        mut self,
        snapshot: &Snapshot,
        deletes: &DeleteSet,
        out: &mut Vec<u8>,
        high_water: usize,
    ) -> Option<Self> {
        while out.len() < high_water {
            let Some(entry) = MessageNumber::from_index(self.next_index).and_then(|n| snapshot.entry(n))
            else {
                response::terminator(out);
                return None;
            };
            self.next_index += 1;
            if deletes.contains(entry.number) {
                continue;
            }
            match self.kind {
                Kind::Scan => response::scan_listing(out, entry.number, entry.octets),
                Kind::UniqueIds => response::unique_id_listing(out, entry.number, entry.unique_id),
            }
        }
        Some(self)
    }
}
