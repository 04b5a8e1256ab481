//! What `wit/storage.wit` says, as Rust: the calls into a plugin, and the traits that the host implements.
//!
//! One module for each major version of the package; the host speaks to all of them through `instance`.

#[allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unnameable_types,
    unused_qualifications,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::pedantic,
    reason = "made from the WIT, which has the words"
)]
pub(crate) mod v1 {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "blob-store",
        imports: {
            "restante:storage/random": trappable,
            "restante:storage/key-value": async,
        },
        exports: { default: async },
    });
}
