//! Words that no file of the project holds: leftovers, and paths of somebody's machine.

use crate::shell::{Workspace, output};
use crate::tidy::Finding;

/// A word and what to do about it. Written in two parts, so that this file does not hold them.
const LEFTOVERS: [(&str, &str); 4] = [
    (
        concat!("TO", "DO"),
        "finish it, or say in the docs what is not there",
    ),
    (concat!("FIX", "ME"), "fix it"),
    (concat!("unimpl", "emented!"), "write it, or take the feature out"),
    (concat!("to", "do!("), "write it, or take the feature out"),
];

const MACHINE_PATHS: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

const KINDS: [&str; 7] = [".rs", ".toml", ".md", ".sql", ".sh", ".yml", ".ci/run"];

/// Every text of the project as git sees it: tracked, or new and not ignored. Generated lock files are left out.
pub(crate) fn tracked(workspace: &Workspace) -> anyhow::Result<Vec<(String, String)>> {
    let list = output(workspace.program("git").args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let list = String::from_utf8_lossy(&list).into_owned();
    let paths = list
        .split('\0')
        .filter(|path| KINDS.iter().any(|kind| path.ends_with(kind)));
    // A file that was deleted and not yet committed is still on the list.
    Ok(paths
        .filter_map(|path| {
            Some((
                path.to_owned(),
                std::fs::read_to_string(workspace.root.join(path)).ok()?,
            ))
        })
        .collect())
}

pub(crate) fn check(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let leftovers = LEFTOVERS.iter().filter(|(word, _)| line.contains(word));
        findings
            .extend(leftovers.map(|(word, remedy)| Finding::new(path, nth + 1, format!("{word}: {remedy}"))));
        let paths = MACHINE_PATHS.iter().filter(|prefix| begins_a_path(line, prefix));
        findings.extend(paths.map(|prefix| {
            Finding::new(
                path,
                nth + 1,
                format!("{prefix} is a path of one machine; use a relative or temporary one"),
            )
        }));
    }
    findings
}

/// Whether `prefix` stands in the line as the beginning of an absolute path, not inside a URL or a relative path.
fn begins_a_path(line: &str, prefix: &str) -> bool {
    line.match_indices(prefix).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '/' | '}' | '*'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found_with_their_line() {
        let text = format!("a\n// {}: later\n", LEFTOVERS[0].0);
        assert_eq!(
            check("f.rs", &text),
            [Finding::new(
                "f.rs",
                2,
                format!("{}: {}", LEFTOVERS[0].0, LEFTOVERS[0].1)
            )]
        );
        assert_eq!(check("f.rs", &format!("{}\"x\")", LEFTOVERS[3].0)).len(), 1);
    }

    #[test]
    fn path_of_a_machine_is_found_and_a_url_is_not() {
        let path = MACHINE_PATHS[0];
        assert_eq!(check("f.md", &format!("see {path}somebody/x")).len(), 1);
        assert_eq!(
            check("f.md", &format!("https://example.org{path}x and target{path}y")),
            []
        );
    }
}
