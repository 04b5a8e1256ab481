//! The rules of the house that a compiler does not know. Each finding names a place and a remedy.
//!
//! It never changes a file. A rule is a function from what it looks at to findings, with tests that see it fail.

mod crates;
mod floors;
mod lexer;
mod migrations;
mod source;
mod texts;

use std::fmt;

use anyhow::bail;

use crate::generate;
use crate::shell::Workspace;
use crate::tidy::source::Source;

/// One thing that is not as the house wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: String,
    line: usize,
    remedy: String,
}

impl Finding {
    fn new(file: &str, line: usize, remedy: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.remedy)
    }
}

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let files = texts::tracked(workspace)?;
    let mut findings = Vec::new();
    findings.extend(floors::check(&workspace.metadata));
    findings.extend(crates::check(workspace));
    findings.extend(migrations::check(workspace)?);
    findings.extend(stale_pages(workspace));
    for (path, text) in &files {
        findings.extend(texts::check(path, text));
        if source::is_rust(path) && path.starts_with("crates/") {
            findings.extend(Source::new(path, text).check());
        }
    }
    findings.extend(source::auth_code_has_one_place(
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())),
    ));
    findings.sort();
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings", findings.len());
    }
    println!(
        "tidy: {} files and {} crates are in order",
        files.len(),
        workspace.metadata.workspace_members.len()
    );
    Ok(())
}

fn stale_pages(workspace: &Workspace) -> Vec<Finding> {
    let is_fresh = |page: &str, text: &str| {
        std::fs::read_to_string(workspace.root.join(page)).is_ok_and(|stored| stored == text)
    };
    let pages = generate::pages();
    let stale = pages.iter().filter(|(page, text)| !is_fresh(page, text));
    stale
        .map(|(page, _)| Finding::new(page, 1, "not what the code says; run `cargo xtask generate`"))
        .collect()
}
