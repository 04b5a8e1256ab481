//! What `wit/storage.wit` says, as Rust: the calls into a plugin, and the traits that the host implements.
//!
//! One module for each major version of the package and each of its worlds; the host speaks to all of them through
//! `instance`. `VERSIONS.md` says how the package grows.

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
            "restante:storage/inner": async | trappable,
            "restante:storage/http": async | trappable,
        },
        exports: { default: async },
        with: {
            "restante:storage/inner.reader": crate::inner::InnerReader,
            "restante:storage/inner.writer": crate::inner::InnerWriter,
            "restante:storage/http.body": crate::http::HttpBody,
        },
    });
}

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
pub(crate) mod v1_maildrop {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "maildrop",
        exports: { default: async },
        with: {
            "restante:storage/types": crate::bindings::v1::restante::storage::types,
            "restante:storage/log": crate::bindings::v1::restante::storage::log,
            "restante:storage/clock": crate::bindings::v1::restante::storage::clock,
            "restante:storage/random": crate::bindings::v1::restante::storage::random,
            "restante:storage/key-value": crate::bindings::v1::restante::storage::key_value,
            "restante:storage/inner": crate::bindings::v1::restante::storage::inner,
            "restante:storage/secrets": crate::bindings::v1::restante::storage::secrets,
            "restante:storage/http": crate::bindings::v1::restante::storage::http,
        },
    });
}
