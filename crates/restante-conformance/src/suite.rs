//! From a list of cases to named tests.
//!
//! Each contract's module has a macro `<contract>_cases!` with the only list of its cases, which it hands to
//! another macro of this file.

/// The reason why a back-end does not offer a case, if it says so.
pub fn claim(claims: &[(&str, &'static str)], case: &str) -> Option<&'static str> {
    claims
        .iter()
        .find(|(name, _)| *name == case)
        .map(|(_, reason)| *reason)
}

/// Fails if a claim names no case: the case was renamed, or the name is misspelt.
///
/// # Panics
/// For the first such claim.
pub fn check_claims(claims: &[(&str, &str)], cases: &[&str]) {
    for (name, _) in claims {
        assert!(cases.contains(name), "{name} is claimed but is no case");
    }
}

/// Makes a test of each case.
#[doc(hidden)]
#[macro_export]
macro_rules! emit_tests {
    ({ $open:expr; $($claimed:ident => $reason:literal),* } $suite:ident: $($case:ident),+ $(,)?) => {
        mod $suite {
            use super::*;

            const CLAIMS: &[(&str, &str)] = &[$((stringify!($claimed), $reason)),*];

            #[test]
            fn every_claim_names_a_case() {
                $crate::check_claims(CLAIMS, &[$(stringify!($case)),+]);
            }

            $(
                #[tokio::test]
                async fn $case() {
                    if let Some(reason) = $crate::claim(CLAIMS, stringify!($case)) {
                        println!("claimed: {}: {reason}", stringify!($case));
                        return;
                    }
                    let mut fixture = $open().await;
                    $crate::$suite::$case(&mut fixture).await;
                }
            )+
        }
    };
}

/// Answers the names of the cases that fail or do not end. For mutants: at least one must. To be called with
/// tokio's time paused, so that a case that waits for ever ends at once.
#[doc(hidden)]
#[macro_export]
macro_rules! emit_bites {
    ({ $open:expr } $suite:ident: $($case:ident),+ $(,)?) => {{
        let mut bitten: Vec<&'static str> = Vec::new();
        $(
            let run = tokio::spawn(async move {
                let mut fixture = $open().await;
                let case = $crate::$suite::$case(&mut fixture);
                tokio::time::timeout(std::time::Duration::from_mins(10), case).await.is_ok()
            });
            if !run.await.unwrap_or(false) {
                bitten.push(stringify!($case));
            }
        )+
        bitten
    }};
}

/// Runs every case of [`PluginRegistry`](restante_store::PluginRegistry) against a back-end, as
/// [`mail_index_suite!`](crate::mail_index_suite) does.
#[macro_export]
macro_rules! plugin_registry_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::plugin_registry_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

/// Runs each case in turn and tells `$report` its name and how it went: the panic of one that failed. For tools that
/// try out what others wrote.
#[doc(hidden)]
#[macro_export]
macro_rules! emit_reports {
    ({ $open:expr, $limit:expr, $report:expr } $suite:ident: $($case:ident),+ $(,)?) => {
        $(
            let open = $open.clone();
            let run = tokio::spawn(async move {
                let mut fixture = open();
                let case = $crate::$suite::$case(&mut fixture);
                tokio::time::timeout($limit, case).await.is_ok()
            });
            $report(stringify!($case), run.await);
        )+
    };
}

/// Runs every case of [`MailIndex`](restante_store::MailIndex) and its ledger against a back-end.
///
/// `$open` is an `async fn() -> impl MailIndexFixture`. A case that the back-end cannot offer is claimed with a
/// reason: `mail_index_suite!(open, except { case => "reason" })`. The caller depends on `tokio` with `macros`.
#[macro_export]
macro_rules! mail_index_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::mail_index_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

/// Runs every case of [`BlobStore`](restante_store::BlobStore) against a back-end, as
/// [`mail_index_suite!`](crate::mail_index_suite) does.
#[macro_export]
macro_rules! blob_store_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::blob_store_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

/// Runs every case of [`ForeignMaildrops`](restante_store::ForeignMaildrops) against a mail system, as
/// [`mail_index_suite!`](crate::mail_index_suite) does.
#[macro_export]
macro_rules! foreign_maildrops_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::foreign_maildrops_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

/// Runs every case of [`KeyValueStore`](restante_store::KeyValueStore) against a back-end, as
/// [`mail_index_suite!`](crate::mail_index_suite) does.
#[macro_export]
macro_rules! key_value_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::key_value_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

/// Runs every case of [`LockManager`](restante_lock::LockManager) against a back-end, as
/// [`mail_index_suite!`](crate::mail_index_suite) does.
#[macro_export]
macro_rules! lock_manager_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::lock_manager_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

/// Runs every case of [`DirectoryAdmin`](restante_auth::DirectoryAdmin) against a back-end, as
/// [`mail_index_suite!`](crate::mail_index_suite) does.
#[macro_export]
macro_rules! directory_suite {
    ($open:expr $(, except { $($case:ident => $reason:literal),+ $(,)? })?) => {
        $crate::directory_cases! { emit_tests { $open; $($($case => $reason),+)? } }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "no_such_case is claimed but is no case")]
    fn a_claim_for_no_case_fails() {
        check_claims(&[("no_such_case", "misspelt")], &["a_case"]);
    }
}
