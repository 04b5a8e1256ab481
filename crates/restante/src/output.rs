//! What commands print, and how they fail.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A command that failed: one message, with the remedy, and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    code: u8,
}

impl Failure {
    /// The configuration or the machine does not allow it: exit code 2.
    pub(crate) fn setup(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            code: 2,
        }
    }

    /// The same in words.
    pub(crate) fn setup_text(text: impl fmt::Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self::setup(anyhow::Error::msg(text))
    }

    /// Whether nobody reads the output any more, as behind `| head`: no failure of ours.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        self.error.chain().any(|cause| {
            cause
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        })
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

/// What was asked for cannot be done: exit code 1.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            code: 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A cause that its parent's text already contains is not said twice.
        let mut said = self.error.to_string();
        f.write_str(&said)?;
        for cause in self.error.chain().skip(1) {
            let cause = cause.to_string();
            if !said.contains(&cause) {
                write!(f, ": {cause}")?;
                said.push_str(&cause);
            }
        }
        Ok(())
    }
}

/// Prints a line to standard output.
pub(crate) fn line(text: impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// A time as RFC 3339 writes it, to the second.
pub(crate) fn time(time: std::time::SystemTime) -> String {
    let at = OffsetDateTime::from(time);
    let second = at.replace_nanosecond(0).unwrap_or(at);
    second.format(&Rfc3339).unwrap_or_else(|_| "?".to_owned())
}

/// Prints rows: aligned columns under a heading, or JSON.
pub(crate) fn rows<T: Serialize>(
    json: bool,
    rows: &[T],
    heading: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, rows)?;
        writeln!(out)?;
        return Ok(());
    }
    let mut table: Vec<Vec<String>> = vec![heading.iter().map(ToString::to_string).collect()];
    table.extend(rows.iter().map(cells));
    let widths: Vec<usize> = (0..heading.len())
        .map(|column| {
            table
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        })
        .map(Option::unwrap_or_default)
        .collect();
    for row in &table {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// Prints one thing: `name: value` lines, or JSON.
pub(crate) fn record<T: Serialize>(json: bool, record: &T, fields: &[(&str, String)]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, record)?;
        writeln!(out)?;
        return Ok(());
    }
    let width = fields
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default()
        + 1;
    for (name, value) in fields {
        writeln!(out, "{:<width$}  {value}", format!("{name}:"))?;
    }
    Ok(())
}
