//! What storage of mail promises, apart from any technology.
//!
//! A storage is a pair: a [`MailIndex`] says which messages exist, a [`BlobStore`] keeps their octets. Nothing
//! here decides which pair a tenant uses. Start at [`MailIndex`].

mod blob;
mod error;
mod index;
mod unique;

pub use blob::{BlobKey, BlobReader, BlobStore, OctetRange, StorageId};
pub use error::{StoreError, StoreErrorKind};
pub use index::{
    BlobLedger, BodyRef, Committed, Condemned, Listing, ListingBuilder, MailIndex, NewMessage, Quota, Usage,
};
pub use unique::fresh_unique_id;
