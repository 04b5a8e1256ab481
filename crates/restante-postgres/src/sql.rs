//! All SQL of this crate. A test prepares every statement against a freshly migrated database.

/// Declares the statements and the list that the test goes through, so that none can be left out.
macro_rules! statements {
    ($($(#[doc = $doc:literal])* $name:ident = $sql:literal;)+) => {
        $($(#[doc = $doc])* pub(crate) const $name: &str = $sql;)+

        #[cfg(test)]
        pub(crate) const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),+];
    };
}

pub(crate) mod blobs;
pub(crate) mod custody;
pub(crate) mod directory;
pub(crate) mod mail;
pub(crate) mod plugins;
pub(crate) mod views;
