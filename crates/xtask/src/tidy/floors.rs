//! Which crate may know which: the floors of the house (`crates/README.md`).
//!
//! A dependency goes to the same floor or to a lower one. Technologies do not know each other, and only the assembly
//! knows them. Floors 0 and 1 are pure: no tokio, however far down. Dev-dependencies are free from floor 2 on; below,
//! a test that needs an upper floor belongs to that floor. Start at [`FLOORS`].

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, PackageId};

use crate::tidy::Finding;

const FLOORS: &[(Floor, &[&str])] = &[
    (Floor::Words, &["restante-types"]),
    (
        Floor::Protocol,
        &[
            "restante-session",
            "restante-sasl",
            "restante-wire",
            "restante-message",
        ],
    ),
    (
        Floor::Contracts,
        &[
            "restante-store",
            "restante-lock",
            "restante-auth",
            "restante-telemetry",
            "restante-config",
        ],
    ),
    (
        Floor::Technologies,
        &[
            "restante-postgres",
            "restante-sqlite",
            "restante-object-store",
            "restante-redis",
            "restante-oauth",
            "restante-plugin",
            // Its cases are run by an operator's commands too.
            "restante-conformance",
        ],
    ),
    (
        Floor::Services,
        &[
            "restante-server",
            "restante-lmtp",
            "restante-admin",
            "restante-net",
        ],
    ),
    (Floor::Assembly, &["restante"]),
    (Floor::Beside, &["restante-testkit", "restante-bench", "xtask"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Words,
    Protocol,
    Contracts,
    Technologies,
    Services,
    Assembly,
    /// Development only: may use every floor, and is used by tests alone.
    Beside,
}

/// An arrow between two crates of the workspace.
#[derive(Clone, Copy, Debug)]
struct Arrow<'m> {
    from: &'m str,
    to: &'m str,
    dev: bool,
}

pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let members: BTreeSet<&str> = metadata
        .workspace_packages()
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut findings: Vec<Finding> = members
        .iter()
        .filter(|name| floor(name).is_none())
        .map(|name| {
            finding(
                name,
                "has no floor; add it to FLOORS in crates/xtask/src/tidy/floors.rs",
            )
        })
        .collect();
    for package in metadata.workspace_packages() {
        for dependency in package
            .dependencies
            .iter()
            .filter(|one| members.contains(one.name.as_str()))
        {
            let dev = dependency.kind == DependencyKind::Development;
            let arrow = Arrow {
                from: package.name.as_str(),
                to: &dependency.name,
                dev,
            };
            findings.extend(judge(arrow).map(|reason| finding(arrow.from, &reason)));
        }
    }
    findings.extend(impure(metadata));
    findings
}

/// What is wrong with an arrow, if anything.
fn judge(arrow: Arrow<'_>) -> Option<String> {
    let (from, to) = (floor(arrow.from)?, floor(arrow.to)?);
    let name = arrow.to;
    if arrow.dev {
        let too_high = from <= Floor::Protocol && to > Floor::Protocol;
        return too_high
            .then(|| format!("is pure, and its tests use {name}; move that test to the upper floor"));
    }
    if from == Floor::Beside {
        return None;
    }
    if to == Floor::Beside {
        return Some(format!(
            "depends on {name}, which is for tests; make it a dev-dependency"
        ));
    }
    if to > from {
        return Some(format!(
            "depends upwards on {name}; arrows run down only: turn the dependency round"
        ));
    }
    if to == Floor::Technologies && from == Floor::Technologies {
        return Some(format!(
            "is a technology and depends on {name}, another one; put what both need in a contract"
        ));
    }
    if to == Floor::Technologies && from != Floor::Assembly {
        return Some(format!(
            "names the technology {name}; take the trait and let the binary choose"
        ));
    }
    None
}

/// Crates of floors 0 and 1 whose normal dependencies reach tokio.
fn impure(metadata: &Metadata) -> Vec<Finding> {
    let names: BTreeMap<&PackageId, &str> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.as_str()))
        .collect();
    let Some(resolve) = &metadata.resolve else {
        return vec![Finding::new(
            "Cargo.toml",
            1,
            "cargo resolved no dependencies; run `cargo metadata` to see why",
        )];
    };
    let graph: BTreeMap<&PackageId, Vec<&PackageId>> = resolve
        .nodes
        .iter()
        .map(|node| {
            let normal = node.deps.iter().filter(|dep| {
                dep.dep_kinds
                    .iter()
                    .any(|kind| kind.kind == DependencyKind::Normal)
            });
            (&node.id, normal.map(|dep| &dep.pkg).collect())
        })
        .collect();
    let pure = metadata.workspace_packages();
    let pure = pure
        .iter()
        .filter(|package| floor(&package.name).is_some_and(|floor| floor <= Floor::Protocol));
    pure.filter_map(|package| {
        let way = way_to(&graph, &names, &package.id, "tokio")?;
        let reason = format!(
            "is pure, and reaches tokio by {}; remove that dependency",
            way.join(" -> ")
        );
        Some(finding(&package.name, &reason))
    })
    .collect()
}

/// The names on the way from `start` to the package called `target`.
fn way_to<'g, I: Ord>(
    graph: &BTreeMap<&'g I, Vec<&'g I>>,
    names: &BTreeMap<&'g I, &'g str>,
    start: &'g I,
    target: &str,
) -> Option<Vec<&'g str>> {
    let mut seen = BTreeSet::from([start]);
    let mut open = vec![vec![start]];
    while let Some(way) = open.pop() {
        let last = *way.last()?;
        if names.get(last) == Some(&target) {
            return Some(way.iter().filter_map(|id| names.get(id).copied()).collect());
        }
        for next in graph
            .get(last)
            .into_iter()
            .flatten()
            .filter(|next| seen.insert(next))
        {
            open.push([way.as_slice(), &[*next]].concat());
        }
    }
    None
}

fn floor(name: &str) -> Option<Floor> {
    FLOORS
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(floor, _)| *floor)
}

fn finding(name: &str, reason: &str) -> Finding {
    Finding::new(
        &format!("crates/{name}/Cargo.toml"),
        1,
        format!("{name} {reason}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(from: &str, to: &str) -> Option<String> {
        judge(Arrow { from, to, dev: false })
    }

    fn dev(from: &str, to: &str) -> Option<String> {
        judge(Arrow { from, to, dev: true })
    }

    #[test]
    fn down_and_sideways_is_allowed() {
        assert_eq!(normal("restante-session", "restante-types"), None);
        assert_eq!(normal("restante-session", "restante-wire"), None);
        assert_eq!(normal("restante-sqlite", "restante-store"), None);
        assert_eq!(normal("restante", "restante-sqlite"), None);
        assert_eq!(normal("xtask", "restante-config"), None);
    }

    #[test]
    fn up_is_refused() {
        assert!(
            normal("restante-types", "restante-wire")
                .unwrap()
                .contains("upwards on restante-wire")
        );
        assert!(
            normal("restante-store", "restante-sqlite")
                .unwrap()
                .contains("upwards")
        );
    }

    #[test]
    fn technologies_are_known_to_the_binary_alone() {
        assert!(
            normal("restante-sqlite", "restante-object-store")
                .unwrap()
                .contains("another one")
        );
        assert!(
            normal("restante-server", "restante-sqlite")
                .unwrap()
                .contains("names the technology")
        );
    }

    #[test]
    fn test_crates_are_dev_dependencies_only() {
        assert!(
            normal("restante-sqlite", "restante-testkit")
                .unwrap()
                .contains("dev-dependency")
        );
        assert_eq!(dev("restante-sqlite", "restante-testkit"), None);
        assert!(
            dev("restante-wire", "restante-testkit")
                .unwrap()
                .contains("is pure")
        );
    }

    #[test]
    fn tokio_is_found_however_deep() {
        let names = BTreeMap::from([
            (&1, "restante-wire"),
            (&2, "helper"),
            (&3, "tokio"),
            (&4, "memchr"),
        ]);
        let graph = BTreeMap::from([(&1, vec![&4, &2]), (&2, vec![&1, &3])]);
        assert_eq!(
            way_to(&graph, &names, &1, "tokio"),
            Some(vec!["restante-wire", "helper", "tokio"])
        );
        assert_eq!(
            way_to(&BTreeMap::from([(&1, vec![&4])]), &names, &1, "tokio"),
            None
        );
    }
}
