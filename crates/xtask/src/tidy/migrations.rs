//! A landed migration is never edited: databases that ran it already would differ from new ones.
//!
//! A file lands with the first commit that holds it; a shallow clone begins at its oldest commit.

use std::path::Path;

use crate::shell::{Workspace, output, works};
use crate::tidy::Finding;

const FOLDER: &str = "migrations";

pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Vec<Finding>> {
    check_at(workspace, &workspace.root)
}

fn check_at(workspace: &Workspace, root: &Path) -> anyhow::Result<Vec<Finding>> {
    let git = |arguments: &[&str]| {
        let mut command = workspace.program("git");
        command.current_dir(root).args(arguments);
        command
    };
    // An export without history, or a repository without a commit, has nothing landed.
    if !works(&mut git(&["rev-parse", "--verify", "HEAD"])) {
        return Ok(Vec::new());
    }
    let added = output(&mut git(&[
        "log",
        "--diff-filter=A",
        "--no-renames",
        "--reverse",
        "--format=commit %H",
        "--name-only",
        "--",
        FOLDER,
    ]))?;
    let mut findings = Vec::new();
    for (commit, file) in landed(&String::from_utf8_lossy(&added)) {
        let then = output(&mut git(&["show", &format!("{commit}:{file}")]))?;
        match std::fs::read(root.join(&file)) {
            Ok(now) if now == then => {}
            Ok(_) => findings.push(Finding::new(&file, 1, format!("edited after it landed; put it back (`git checkout {commit} -- {file}`) and write a new migration", commit = commit.get(..12).unwrap_or(&commit)))),
            Err(_) => findings.push(Finding::new(&file, 1, "removed after it landed; put it back")),
        }
    }
    Ok(findings)
}

/// Each file with the first commit that added it.
fn landed(log: &str) -> Vec<(String, String)> {
    let mut commit = "";
    let mut files: Vec<(String, String)> = Vec::new();
    for line in log.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("commit ") {
            Some(hash) => commit = hash,
            None if files.iter().any(|(_, file)| file == line) => {}
            None => files.push((commit.to_owned(), line.to_owned())),
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;
    use crate::shell::succeed;

    fn git(folder: &Path, arguments: &[&str]) {
        let mut git = Command::new("git");
        git.current_dir(folder)
            .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
            .args(arguments);
        succeed(&mut git).unwrap();
    }

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        fs::write(folder.path().join("migrations/1.sql"), "one").unwrap();
        git(folder.path(), &["init", "-q"]);
        git(folder.path(), &["add", "-A"]);
        git(folder.path(), &["commit", "-q", "-m", "land"]);
        folder
    }

    fn findings(folder: &Path) -> Vec<Finding> {
        check_at(&Workspace::find().unwrap(), folder).unwrap()
    }

    #[test]
    fn untouched_and_new_migrations_are_in_order() {
        let folder = repository();
        fs::write(folder.path().join("migrations/2.sql"), "two").unwrap();
        assert_eq!(findings(folder.path()), []);
    }

    #[test]
    fn edit_is_found_even_when_it_was_committed() {
        let folder = repository();
        fs::write(folder.path().join("migrations/1.sql"), "other").unwrap();
        assert!(
            findings(folder.path())[0]
                .remedy
                .contains("edited after it landed")
        );
        git(folder.path(), &["commit", "-q", "-a", "-m", "edit"]);
        assert!(
            findings(folder.path())[0]
                .remedy
                .contains("edited after it landed")
        );
    }

    #[test]
    fn removal_is_found() {
        let folder = repository();
        fs::remove_file(folder.path().join("migrations/1.sql")).unwrap();
        assert!(
            findings(folder.path())[0]
                .remedy
                .contains("removed after it landed")
        );
    }

    #[test]
    fn folder_without_history_has_nothing_landed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(findings(folder.path()), []);
    }
}
