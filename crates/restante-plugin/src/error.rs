//! From what a plugin says, or what became of it, to an error of storage.

use std::path::PathBuf;
use std::time::Duration;

use restante_store::{StoreError, StoreErrorKind};

use crate::bindings::v1::restante::storage::types;
use crate::log_gate::printable;

pub(crate) const STORE: &str = "plugin";

/// Longest text of a plugin that is passed on.
const TEXT: usize = 1024;

/// Why a component cannot be a plugin. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The octets are no component, or one that this host cannot run.
    #[error("not a WebAssembly component that runs here: {0}")]
    NotAComponent(String),
    /// It exports no world that the host knows.
    #[error("the component does not export {0}: is it of a world of restante:storage@1?")]
    MissingExport(&'static str),
    /// It was made for another version of the package.
    #[error("the component speaks {0}; this server speaks restante:storage@1")]
    OtherVersion(String),
    /// It wants what it was not given.
    #[error("the component imports {0}, which is not granted")]
    NotGranted(String),
    /// It has more octets than may be installed.
    #[error("the component has {0} octets; {limit} are the most", limit = crate::LARGEST_COMPONENT)]
    TooLarge(usize),
    /// The compiler ended without a result.
    #[error("the component cannot be compiled: {0}")]
    Compiler(String),
    /// Compiled code cannot be kept.
    #[error("{}: {why}", path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The engine failed.
    #[error("the engine for plugins cannot be used: {0}")]
    Engine(String),
}

/// Why a call ended without an answer of the plugin.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It trapped, computed too long, or broke the rules of the component model.
    Trap(String),
    /// It did not answer in time.
    Late(Duration),
    /// The plugin answered with an error.
    Refused(types::Error),
    /// It answered what contradicts the WIT.
    Nonsense(&'static str),
}

impl Fault {
    /// The name in metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Late(_) => "late",
            Self::Refused(_) => "refused",
            Self::Nonsense(_) => "nonsense",
        }
    }

    /// Whether the plugin is to blame, and not what it stands for.
    pub(crate) const fn is_breakage(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    pub(crate) fn into_error(self, op: &'static str) -> StoreError {
        match self {
            Self::Trap(why) => StoreError::new(StoreErrorKind::Unavailable, op, STORE)
                .because(format!("the plugin ended: {why}")),
            Self::Late(limit) => StoreError::new(StoreErrorKind::Timeout, op, STORE)
                .because(format!("the plugin gave no answer within {limit:?}")),
            Self::Nonsense(what) => StoreError::new(StoreErrorKind::Damaged, op, STORE).because(what),
            Self::Refused(error) => refused(error, op),
        }
    }
}

fn refused(error: types::Error, op: &'static str) -> StoreError {
    use types::Error;
    let of = |kind| StoreError::new(kind, op, STORE);
    let said = |kind, text: String| of(kind).because(printable(&text, TEXT));
    match error {
        Error::NotFound => of(StoreErrorKind::NotFound),
        Error::Conflict => of(StoreErrorKind::Conflict),
        Error::Damaged(text) => said(StoreErrorKind::Damaged, text),
        Error::Full => of(StoreErrorKind::Full),
        Error::Denied(text) => said(StoreErrorKind::Denied, text),
        Error::Unavailable(text) => said(StoreErrorKind::Unavailable, text),
        Error::Throttled(millis) => {
            of(StoreErrorKind::Throttled).retry_after(Duration::from_millis(millis.into()))
        }
        Error::Unknown(text) => said(StoreErrorKind::Unknown, text),
        Error::Invalid(text) => said(StoreErrorKind::Invalid, text),
        Error::Unsupported => of(StoreErrorKind::Unsupported),
    }
}
