//! Whether a bucket serves, tried out: in plain words what is wrong and what to do.

use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, PutMode, PutOptions, PutPayload};
use restante_store::{StoreError, StoreErrorKind};
use tracing::debug;

use super::bucket::{Bucket, fresh_name};
use super::failure::Failure;
use super::retry::within;

/// What is stored to see whether it comes back.
const OCTETS: &[u8] = b"restante looks whether this bucket serves";

/// What a bucket can do beyond what is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Whether a write with `If-None-Match: *` to a key that is taken is refused. Nothing depends on it: keys are used
    /// once and the index decides; it is one net less.
    pub conditional_writes: bool,
}

/// Writes, writes again, reads, reads in part and removes an object below `probe/`.
pub(super) async fn run(bucket: &Bucket, name: &str, credentials: &str) -> Result<Probed, StoreError> {
    let path = bucket.below(&format!("probe/{}", fresh_name()?));
    let probed = steps(bucket, &path).await;
    if probed.is_err()
        && let Err(failure) = bucket.remove(&path).await
    {
        debug!(?failure, "the object of the probe stays behind");
    }
    probed.map_err(|(step, mut failure)| {
        failure.text = in_words(step, &failure, name, credentials);
        failure.into_error("probe")
    })
}

/// What the probe was at.
#[derive(Clone, Copy, Debug)]
enum Step {
    Write,
    Read,
    Remove,
    /// Asking for what is not there.
    Miss,
}

async fn steps(bucket: &Bucket, path: &Path) -> Result<Probed, (Step, Failure)> {
    let put = || {
        let options = PutOptions::from(PutMode::Create);
        bucket.s3.put_opts(path, PutPayload::from_static(OCTETS), options)
    };
    let at = |step| move |failure| (step, failure);
    bucket
        .budget
        .spend(bucket.limits.change, put)
        .await
        .map_err(at(Step::Write))?;
    let conditional_writes = match bucket.budget.spend(bucket.limits.change, put).await {
        Ok(_) => false,
        Err(failure) if failure.kind == StoreErrorKind::Conflict => true,
        Err(failure) => return Err((Step::Write, failure)),
    };
    let read = async {
        let part = GetOptions::new().with_range(Some(GetRange::Bounded(1..9)));
        bucket.s3.get_opts(path, part).await?.bytes().await
    };
    let read = within(bucket.limits.answer, read).await.map_err(at(Step::Read))?;
    if Some(read.as_ref()) != OCTETS.get(1..9) {
        return Err((
            Step::Read,
            Failure::damaged("other octets came back than were written"),
        ));
    }
    bucket.remove(path).await.map_err(at(Step::Remove))?;
    match bucket.find(path).await.map_err(at(Step::Miss))? {
        None => Ok(Probed { conditional_writes }),
        Some(_) => Err((
            Step::Remove,
            Failure::damaged("an object that was removed is still there"),
        )),
    }
}

fn in_words(step: Step, failure: &Failure, bucket: &str, credentials: &str) -> String {
    let action = match step {
        Step::Write => "s3:PutObject",
        Step::Read => "s3:GetObject",
        Step::Remove => "s3:DeleteObject",
        // Without it S3 forbids what it would otherwise say is missing.
        Step::Miss => "s3:ListBucket",
    };
    let said = &failure.text;
    match failure.code.as_str() {
        "NoSuchBucket" => format!("there is no bucket {bucket:?}: create it, or correct `bucket` ({said})"),
        "InvalidBucketName" => format!("{bucket:?} is no name of a bucket: correct `bucket` ({said})"),
        "RequestTimeTooSkewed" => {
            format!(
                "this host's clock differs from the service's by minutes: set it, with NTP for example ({said})"
            )
        }
        "InvalidAccessKeyId" => {
            format!("the service does not know the access key from {credentials} ({said})")
        }
        "SignatureDoesNotMatch" => format!(
            "the secret key from {credentials} does not fit its access key, or something on the way changes requests ({said})"
        ),
        "ExpiredToken" | "InvalidToken" => {
            format!("the session token from {credentials} is not valid any more ({said})")
        }
        "AccessDenied" => {
            format!(
                "the credentials from {credentials} do not permit {action} on {bucket:?}: grant it ({said})"
            )
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            format!("the bucket {bucket:?} is in another region: correct `region` or `endpoint` ({said})")
        }
        _ => match failure.kind {
            StoreErrorKind::Denied => {
                format!(
                    "the service refuses the credentials from {credentials}, or {action} on {bucket:?} ({said})"
                )
            }
            StoreErrorKind::Timeout => {
                "the service does not answer in time: check `endpoint` and the network".to_owned()
            }
            StoreErrorKind::Throttled => {
                format!("the service asks for fewer requests: try again later ({said})")
            }
            StoreErrorKind::Unavailable => {
                format!(
                    "the service cannot be used now: check `endpoint`, its certificate and the network ({said})"
                )
            }
            StoreErrorKind::Damaged => format!("the service does not do what S3 does: {said}"),
            _ => format!("the service refuses {action} on {bucket:?}: {said}"),
        },
    }
}
