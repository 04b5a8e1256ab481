//! What is wrong with the settings, where it stands, and what to write instead.
//!
//! Texts name keys and allowed values. They never repeat a value of the environment.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The key, as in `listener[0].address`; empty when the whole file is meant.
    pub path: String,
    /// What is wrong and what helps.
    pub reason: String,
    /// Line in the file, from 1. `None` when the value came from the environment or was never written.
    pub line: Option<usize>,
    /// The environment variable that set the value, if one did.
    pub variable: Option<String>,
}

impl ConfigError {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            reason: reason.into(),
            line: None,
            variable: None,
        }
    }
}

/// All that is wrong with one file, at least one thing; one line of text each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    name: String,
    faults: Vec<ConfigError>,
}

impl ConfigErrors {
    pub(crate) fn new(name: &str, mut faults: Vec<ConfigError>) -> Self {
        faults.sort_by_key(|fault| fault.line.unwrap_or(usize::MAX));
        Self {
            name: name.to_owned(),
            faults,
        }
    }

    pub(crate) fn unreadable(name: &str, fault: &std::io::Error) -> Self {
        let reason = format!("cannot be read: {fault}; name an existing file with --config");
        Self::new(name, vec![ConfigError::new("", reason)])
    }

    /// Every fault, in the order of the file.
    pub fn faults(&self) -> &[ConfigError] {
        &self.faults
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, fault) in self.faults.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            match (&fault.variable, fault.line) {
                (Some(variable), _) => write!(f, "environment {variable}: ")?,
                (None, Some(line)) => write!(f, "{}:{line}: ", self.name)?,
                (None, None) => write!(f, "{}: ", self.name)?,
            }
            if !fault.path.is_empty() {
                write!(f, "{}: ", fault.path)?;
            }
            f.write_str(&fault.reason)?;
        }
        Ok(())
    }
}
