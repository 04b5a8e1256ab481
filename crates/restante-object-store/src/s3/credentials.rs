//! Credentials from a file in the form of `~/.aws/credentials`, read again when it changes.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

/// Gives out the keys of one profile of a file. A file that cannot be read leaves the keys that were read before in
/// force: it may be in the middle of being replaced.
pub(super) struct CredentialsFile {
    path: PathBuf,
    profile: String,
    last: Mutex<Option<(SystemTime, Arc<AwsCredential>)>>,
}

/// Why a file gives no keys. Never holds what stands in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsError {
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable { path: PathBuf, why: std::io::Error },
    #[error("{} has no complete [{profile}]: it needs aws_access_key_id and aws_secret_access_key", path.display())]
    Incomplete { path: PathBuf, profile: String },
}

impl CredentialsFile {
    /// Reads the file.
    pub(super) fn open(path: &Path, profile: &str) -> Result<Self, CredentialsError> {
        let file = Self {
            path: path.to_owned(),
            profile: profile.to_owned(),
            last: Mutex::new(None),
        };
        file.read()?;
        Ok(file)
    }

    fn read(&self) -> Result<Arc<AwsCredential>, CredentialsError> {
        let unreadable = |why| CredentialsError::Unreadable {
            path: self.path.clone(),
            why,
        };
        let changed = fs::metadata(&self.path)
            .and_then(|about| about.modified())
            .map_err(unreadable)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, keys)) = &*last
            && *then == changed
        {
            return Ok(Arc::clone(keys));
        }
        let text = fs::read_to_string(&self.path).map_err(unreadable)?;
        let keys = parse(&text, &self.profile).ok_or_else(|| CredentialsError::Incomplete {
            path: self.path.clone(),
            profile: self.profile.clone(),
        })?;
        let keys = Arc::new(keys);
        *last = Some((changed, Arc::clone(&keys)));
        Ok(keys)
    }

    fn last(&self) -> Option<Arc<AwsCredential>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map(|(_, keys)| Arc::clone(keys))
    }
}

#[async_trait]
impl CredentialProvider for CredentialsFile {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        self.read().or_else(|error| {
            self.last().ok_or_else(|| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })
        })
    }
}

impl fmt::Debug for CredentialsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialsFile({} [{}])", self.path.display(), self.profile)
    }
}

/// The keys of a profile; `None` if they are not all there.
fn parse(text: &str, profile: &str) -> Option<AwsCredential> {
    let mut lines = text.lines().map(str::trim);
    let header = format!("[{profile}]");
    lines.by_ref().find(|line| *line == header)?;
    let (mut key_id, mut secret_key, mut token) = (None, None, None);
    for line in lines.take_while(|line| !line.starts_with('[')) {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let value = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => key_id = value,
            "aws_secret_access_key" => secret_key = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(AwsCredential {
        key_id: key_id?,
        secret_key: secret_key?,
        token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# keys\n[default]\naws_access_key_id = AKIA\naws_secret_access_key=se/cr=et\n\n\
        [mail]\naws_access_key_id=B\naws_secret_access_key=C\naws_session_token=D\nregion=x\n[broken]\naws_access_key_id=E\n";

    #[test]
    fn profiles_are_told_apart() {
        let keys = parse(FILE, "default").unwrap();
        assert_eq!(
            (keys.key_id.as_str(), keys.secret_key.as_str(), keys.token),
            ("AKIA", "se/cr=et", None)
        );
        let keys = parse(FILE, "mail").unwrap();
        assert_eq!((keys.key_id.as_str(), keys.token.as_deref()), ("B", Some("D")));
        assert!(parse(FILE, "broken").is_none());
        assert!(parse(FILE, "absent").is_none());
    }

    #[tokio::test]
    async fn a_new_file_is_read_and_a_broken_one_leaves_the_old_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let replace = |text: &str, second: u64| {
            fs::write(&path, text).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second))
                .unwrap();
        };
        replace(FILE, 1);
        let file = CredentialsFile::open(&path, "mail").unwrap();
        assert_eq!(file.get_credential().await.unwrap().key_id, "B");
        replace(
            "[mail]\naws_access_key_id=F\naws_secret_access_key=canary-secret\n",
            2,
        );
        assert_eq!(file.get_credential().await.unwrap().key_id, "F");
        replace("[mail]\naws_access_", 3);
        assert_eq!(file.get_credential().await.unwrap().key_id, "F");
        assert!(!format!("{file:?}").contains("canary"));
    }

    #[test]
    fn what_is_missing_is_said_without_the_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        fs::write(&path, FILE).unwrap();
        let error = CredentialsFile::open(&path, "broken").unwrap_err().to_string();
        assert!(
            error.contains("[broken]") && error.contains("aws_secret_access_key"),
            "{error}"
        );
        assert!(!error.contains("se/cr=et"));
        let error = CredentialsFile::open(&folder.path().join("none"), "x")
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot be read"), "{error}");
    }
}
