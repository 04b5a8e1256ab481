//! A wrapper changes nothing of what its storage promises.
#![allow(clippy::unused_async, reason = "a suite opens its fixtures asynchronously")]

mod fixture;

use std::time::Duration;

/// Longer than any case takes.
const LONG: Duration = Duration::from_mins(10);

macro_rules! both_suites {
    ($wrapper:ident: $wrap:expr) => {
        mod $wrapper {
            use restante_conformance::{blob_store_suite, mail_index_suite};

            use crate::fixture::{MemoryBlobs, MemoryIndex};

            async fn open_index() -> MemoryIndex {
                MemoryIndex::open().await.behind($wrap)
            }

            async fn open_blobs() -> MemoryBlobs {
                MemoryBlobs::behind($wrap)
            }

            mail_index_suite!(open_index, except {
                a_restart_keeps_messages => "memory is forgotten when the process ends",
                a_restart_keeps_updates => "memory is forgotten when the process ends",
            });
            blob_store_suite!(open_blobs, except {
                a_restart_keeps_blobs => "memory is forgotten when the process ends",
            });
        }
    };
}

#[derive(Debug)]
struct Deaf;

impl restante_store::StoreObserver for Deaf {
    fn called(&self, _: &restante_store::StoreCall<'_>) {}
}

both_suites!(metered: |inner| restante_store::Metered::new(inner, "metered", std::sync::Arc::new(crate::Deaf)));
both_suites!(timeout: |inner| restante_store::Timeout::new(inner, crate::LONG));
both_suites!(limit: |inner| restante_store::Limit::new(inner, 2, crate::LONG));
both_suites!(faulty_without_a_fault: |inner| restante_store::Faulty::new(inner, std::sync::Arc::default()));
