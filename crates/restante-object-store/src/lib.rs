//! Blobs through the object_store crate: a local directory.
