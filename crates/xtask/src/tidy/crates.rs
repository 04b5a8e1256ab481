//! Every crate of the workspace looks the same from outside: folder, publication, lints.

use std::path::Path;

use cargo_metadata::Package;

use crate::shell::Workspace;
use crate::tidy::Finding;

pub(crate) fn check(workspace: &Workspace) -> Vec<Finding> {
    let packages = workspace.metadata.workspace_packages();
    packages
        .into_iter()
        .flat_map(|package| check_package(&workspace.root, package))
        .collect()
}

fn check_package(root: &Path, package: &Package) -> Vec<Finding> {
    let manifest = package.manifest_path.as_std_path();
    let file = manifest
        .strip_prefix(root)
        .unwrap_or(manifest)
        .display()
        .to_string();
    let folder = package
        .manifest_path
        .parent()
        .and_then(|folder| folder.file_name())
        .unwrap_or_default();
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    check_manifest(&file, folder, &package.name, &text)
}

fn check_manifest(file: &str, folder: &str, name: &str, text: &str) -> Vec<Finding> {
    let Ok(manifest) = text.parse::<toml::Table>() else {
        return vec![Finding::new(file, 1, "cannot be read as TOML")];
    };
    let inherits = |table: &str, key: Option<&str>| {
        let value = manifest.get(table);
        let value = key.map_or(value, |key| value.and_then(|table| table.get(key)));
        value
            .and_then(|value| value.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true)
    };
    let mut findings = Vec::new();
    // The one package beside `crates/`, whose folder's name is fixed.
    if folder != name && (folder, name) != ("benches", "restante-bench") {
        findings.push(Finding::new(
            file,
            1,
            format!("package {name} stands in folder {folder}; give both one name"),
        ));
    }
    if !inherits("lints", None) {
        findings.push(Finding::new(
            file,
            1,
            "without the lints of the workspace; add `[lints] workspace = true`",
        ));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !inherits("package", Some(key)) {
            findings.push(Finding::new(
                file,
                1,
                format!("sets {key} itself; write `{key}.workspace = true`"),
            ));
        }
    }
    if manifest
        .get("package")
        .and_then(|package| package.get("description"))
        .is_none()
    {
        findings.push(Finding::new(
            file,
            1,
            "without description; say in one line what the crate is for",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[package]\nname = \"a\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\ndescription = \"A.\"\n\
        [lints]\nworkspace = true\n";

    #[test]
    fn manifest_that_inherits_is_in_order() {
        assert_eq!(check_manifest("f", "a", "a", GOOD), []);
    }

    #[test]
    fn folder_with_another_name_is_found() {
        assert!(
            check_manifest("f", "b", "a", GOOD)[0]
                .remedy
                .contains("stands in folder b")
        );
    }

    #[test]
    fn missing_lints_publish_and_description_are_found() {
        for (line, word) in [
            ("[lints]\nworkspace = true\n", "lints"),
            ("publish.workspace = true\n", "publish"),
            ("description = \"A.\"\n", "description"),
        ] {
            let findings = check_manifest("f", "a", "a", &GOOD.replace(line, ""));
            assert_eq!(findings.len(), 1);
            assert!(findings[0].remedy.contains(word), "{findings:?}");
        }
    }
}
