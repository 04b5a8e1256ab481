//! Listings of maildrops that were opened lately: a maildrop that is opened again is read only as far as it changed.
//!
//! Never decides by itself that a listing is still right: the index does, at each opening. Start at
//! [`ListingCache::listing`].

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use restante_types::{Fence, MaildropId};

use crate::{Listing, MailIndex, StoreError};

/// What an entry takes besides its listing.
const ENTRY_OCTETS: usize = 256;
/// A listing that nobody asked for in so long goes.
const FORGET: Duration = Duration::from_hours(1);

/// Listings by maildrop, bounded in memory; the least recently used goes.
#[derive(Debug)]
pub struct ListingCache {
    listings: Cache<MaildropId, Arc<Listing>>,
}

impl ListingCache {
    /// Keeps listings of `octets` together; 0 keeps none.
    pub fn new(octets: u64) -> Self {
        Self {
            listings: Cache::builder()
                .weigher(|_, listing: &Arc<Listing>| {
                    u32::try_from(ENTRY_OCTETS + listing.octets_in_memory()).unwrap_or(u32::MAX)
                })
                .max_capacity(octets)
                .time_to_idle(FORGET)
                .build(),
        }
    }

    /// What the maildrop holds now.
    ///
    /// # Errors
    /// As [`MailIndex::snapshot`].
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn listing(&self, index: &dyn MailIndex, fence: &Fence) -> Result<Arc<Listing>, StoreError> {
        let known = self.listings.get(&fence.maildrop);
        let listing = match &known {
            Some(known) => index.refresh(fence, known).await?,
            None => Arc::new(index.snapshot(fence).await?),
        };
        let is_known = known.is_some_and(|known| Arc::ptr_eq(&known, &listing));
        // Without a revision the next opening would have to read it all again.
        if !is_known && listing.revision.is_some() {
            self.listings.insert(fence.maildrop, Arc::clone(&listing));
        }
        Ok(listing)
    }
}
