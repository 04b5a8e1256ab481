//! What a bucket holds.

use futures_util::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use restante_store::BlobKey;
use tokio::time::timeout;

use super::bucket::Bucket;
use super::failure::Failure;
use super::retry::Attempts;

/// At most `limit` blobs after one, in the order of their paths. Objects that are no blobs are passed over.
pub(super) async fn after(
    bucket: &Bucket,
    after: Option<&BlobKey>,
    limit: usize,
) -> Result<Vec<BlobKey>, Failure> {
    let mut keys = Vec::new();
    let mut last = after.map(|key| bucket.path(key));
    let mut attempts = Attempts::default();
    // What was listed before a failure stays listed.
    while let Err(failure) = extend(bucket, &mut keys, &mut last, limit).await {
        attempts.next(&bucket.budget, failure).await?;
    }
    Ok(keys)
}

async fn extend(
    bucket: &Bucket,
    keys: &mut Vec<BlobKey>,
    last: &mut Option<Path>,
    limit: usize,
) -> Result<(), Failure> {
    let below = bucket.below("");
    let mut objects = match &last {
        Some(last) => bucket.s3.list_with_offset(Some(&below), last),
        None => bucket.s3.list(Some(&below)),
    };
    while keys.len() < limit {
        let next = timeout(bucket.limits.change, objects.next()).await;
        let Some(object) = next.map_err(|_| Failure::timeout())? else {
            break;
        };
        let path = object?.location;
        keys.extend(bucket.key(&path));
        *last = Some(path);
    }
    Ok(())
}
