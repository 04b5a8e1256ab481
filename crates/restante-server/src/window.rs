//! The part of a maildrop that a tenant's rules let its users see.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use restante_auth::Policy;
use restante_store::{Listing, ListingBuilder, StoreError, StoreErrorKind};
use restante_types::UniqueId;

/// Leaves out what is older than the newest so many messages, or came longer ago than so many days. The others stay
/// in the maildrop; their unique-ids do not change when the window does.
///
/// # Errors
/// `Damaged`: the listing contradicts itself.
pub(crate) fn apply(
    listing: Arc<Listing>,
    policy: &Policy,
    now: SystemTime,
) -> Result<Arc<Listing>, StoreError> {
    if policy.listing_messages.is_none() && policy.listing_days.is_none() {
        return Ok(listing);
    }
    let newest = policy.listing_messages.map_or(usize::MAX, |n| n as usize);
    let since = policy
        .listing_days
        .and_then(|days| now.checked_sub(Duration::from_hours(24) * days));
    let hidden = listing.bodies.len().saturating_sub(newest);
    let mut window = ListingBuilder::with_capacity(listing.bodies.len() - hidden);
    for (entry, body) in listing.snapshot.iter().zip(&listing.bodies).skip(hidden) {
        if since.is_none_or(|since| body.blob.made_at() >= since) {
            let unique_id = UniqueId::new(entry.unique_id).map_err(damaged)?;
            window
                .push(entry.id, &unique_id, entry.needs_utf8, *body)
                .map_err(damaged)?;
        }
    }
    Ok(Arc::new(window.finish()))
}

fn damaged(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Damaged, "snapshot", "window").because(error)
}
