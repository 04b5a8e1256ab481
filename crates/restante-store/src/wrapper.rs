//! What all wrappers have in common: their index and ledger pass every call through one method, `call`.
//!
//! A wrapper of this crate decides in `call` what happens around a call, and writes out only its `BlobStore`, where
//! bodies pass by in pieces.

/// Implements `Display`, `MailIndex` and `BlobLedger` for a wrapper by its
/// `call(&self, op, n_messages, future) -> Result<T, StoreError>`, where `n_messages` is how many messages the call
/// changes at once, as far as that depends on the caller.
///
/// Every method stands here once, so that no wrapper forgets one.
macro_rules! index_through_call {
    ($wrapper:ident) => {
        impl<S: std::fmt::Display + ?Sized> std::fmt::Display for $wrapper<S> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }

        #[deny(clippy::missing_trait_methods)]
        #[async_trait::async_trait]
        impl<S: $crate::MailIndex + ?Sized> $crate::MailIndex for $wrapper<S> {
            async fn snapshot(
                &self,
                fence: &restante_types::Fence,
            ) -> Result<$crate::Listing, $crate::StoreError> {
                self.call("snapshot", 0, self.inner.snapshot(fence)).await
            }

            async fn refresh(
                &self,
                fence: &restante_types::Fence,
                known: &std::sync::Arc<$crate::Listing>,
            ) -> Result<std::sync::Arc<$crate::Listing>, $crate::StoreError> {
                self.call("refresh", 0, self.inner.refresh(fence, known))
                    .await
            }

            async fn commit(
                &self,
                fence: &restante_types::Fence,
                session: restante_types::SessionId,
                deletes: &restante_session::DeleteSet,
            ) -> Result<$crate::Committed, $crate::StoreError> {
                self.call(
                    "commit",
                    deletes.len(),
                    self.inner.commit(fence, session, deletes),
                )
                .await
            }

            async fn outcome(
                &self,
                fence: &restante_types::Fence,
                session: restante_types::SessionId,
            ) -> Result<Option<$crate::Committed>, $crate::StoreError> {
                self.call("outcome", 0, self.inner.outcome(fence, session))
                    .await
            }

            async fn reserve(
                &self,
                maildrop: restante_types::MaildropId,
                storage: $crate::StorageId,
            ) -> Result<$crate::BlobKey, $crate::StoreError> {
                self.call("reserve", 0, self.inner.reserve(maildrop, storage))
                    .await
            }

            async fn deliver(
                &self,
                maildrop: restante_types::MaildropId,
                message: $crate::NewMessage,
            ) -> Result<$crate::Delivered, $crate::StoreError> {
                self.call("deliver", 0, self.inner.deliver(maildrop, message))
                    .await
            }

            async fn usage(
                &self,
                maildrop: restante_types::MaildropId,
            ) -> Result<($crate::Usage, $crate::Quota), $crate::StoreError> {
                self.call("usage", 0, self.inner.usage(maildrop)).await
            }
        }

        #[deny(clippy::missing_trait_methods)]
        #[async_trait::async_trait]
        impl<S: $crate::BlobLedger + ?Sized> $crate::BlobLedger for $wrapper<S> {
            async fn condemned(
                &self,
                now: std::time::SystemTime,
                limit: usize,
            ) -> Result<Vec<$crate::Condemned>, $crate::StoreError> {
                self.call("condemned", 0, self.inner.condemned(now, limit))
                    .await
            }

            async fn expire(
                &self,
                tenant: restante_types::TenantId,
                before: std::time::SystemTime,
                limit: usize,
            ) -> Result<usize, $crate::StoreError> {
                self.call("expire", 0, self.inner.expire(tenant, before, limit))
                    .await
            }

            async fn collected(&self, blobs: &[$crate::Condemned]) -> Result<(), $crate::StoreError> {
                self.call("collected", 0, self.inner.collected(blobs)).await
            }
        }
    };
}
pub(crate) use index_through_call;
