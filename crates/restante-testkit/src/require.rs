//! Programs that a test needs and this host may lack.
//!
//! A missing program is said aloud and, where everything is required, a failure: a test that did not run must not
//! look like one that passed.

use std::env;
use std::path::PathBuf;

/// The variable that turns a missing program into a failure when its value is `all`.
pub const REQUIRE: &str = "RESTANTE_REQUIRE";

/// Where `program` is, from `PATH` or the places of system programs. `None`, after a loud line, if this host lacks
/// it; `package` is the Debian package that has it.
///
/// # Panics
/// If it is missing and `RESTANTE_REQUIRE=all`.
pub fn program(program: &str, package: &str) -> Option<PathBuf> {
    let found = find(program);
    if found.is_none() {
        missing(&format!("{program} not found (apt-get install {package})"));
    }
    found
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let mut places = env::split_paths(&path).chain(system);
    places.find_map(|place| Some(place.join(program)).filter(|path| path.is_file()))
}

#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests must see what did not run"
)]
pub(crate) fn missing(what: &str) {
    assert!(
        !env::var(REQUIRE).is_ok_and(|value| value == "all"),
        "{REQUIRE}=all: {what}"
    );
    eprintln!("skipped: {what}");
}

/// Says that a test did not run because the kernel does not let this user do what it needs. No failure even where
/// everything is required: no package would help.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests must see what did not run"
)]
pub(crate) fn not_permitted(what: &str) {
    eprintln!("skipped: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_found_and_nonsense_is_not() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
    }
}
