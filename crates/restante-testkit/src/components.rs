//! Plugins as components, built from source by `cargo xtask plugins`.

use std::path::PathBuf;

/// The file of a plugin of `plugins/`.
///
/// # Panics
/// It was not built.
pub fn component(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let file = target.join("plugins").join(format!("{name}.wasm"));
    assert!(
        file.is_file(),
        "there is no {}; run `cargo xtask plugins`",
        file.display()
    );
    file
}
