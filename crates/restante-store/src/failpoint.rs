//! Named places where a test may end the process, as a power cut would.

/// Ends the process at once when `RESTANTE_FAILPOINT` is `name`, or `name:N` at the Nth time. Nothing is flushed, told
/// or given back. In release builds it does nothing and asks nobody.
#[cfg(debug_assertions)]
pub fn failpoint(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();
    let plan = PLAN.get_or_init(|| {
        let text = std::env::var("RESTANTE_FAILPOINT").ok()?;
        let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU64::new(nth.parse().ok()?)))
    });
    if let Some((wanted, left)) = plan
        && wanted == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        std::process::abort();
    }
}

/// Nothing: see the debug build's.
#[cfg(not(debug_assertions))]
pub const fn failpoint(_name: &'static str) {}
