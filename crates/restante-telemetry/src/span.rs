//! Spans: one per session that is traced, with children for what it waits for.
//!
//! Whether a session is traced is decided once, when it begins; what it calls is traced if it is. So a session that is
//! not traced costs no span anywhere.

use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of every span that is exported. Log lines do not show it.
pub const SPAN_TARGET: &str = "restante_span";

/// A span of a session that is traced: `make` is called only there.
///
/// ```
/// # use restante_telemetry::{SPAN_TARGET, in_session};
/// let span = in_session(|| tracing::info_span!(target: SPAN_TARGET, "lock"));
/// assert!(span.is_none(), "nothing is traced here");
/// ```
pub fn in_session(make: impl FnOnce() -> Span) -> Span {
    if Span::current().is_none() {
        Span::none()
    } else {
        make()
    }
}

/// Whether something that is one of `share` (0 to 1) is to be traced.
pub fn sampled(share: f64) -> bool {
    share > 0.0 && (share >= 1.0 || share_of(random()) < share)
}

/// The key under which a traced session is found at the collector.
pub fn trace_id(span: &Span) -> Option<String> {
    if span.is_none() {
        return None;
    }
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// 53 random bits as a number from 0 to 1.
fn share_of(bits: u64) -> f64 {
    const STEPS: f64 = 9_007_199_254_740_992.0;
    let upper = u32::try_from(bits >> 43).unwrap_or(0);
    let lower = u32::try_from((bits >> 11) & 0xFFFF_FFFF).unwrap_or(0);
    (f64::from(upper) * 4_294_967_296.0 + f64::from(lower)) / STEPS
}

/// Good enough to choose sessions by; not for secrets.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_as_many_are_sampled_as_were_asked_for() {
        let n_sampled = (0..10_000).filter(|_| sampled(0.25)).count();
        assert!((2_000..3_000).contains(&n_sampled), "{n_sampled}");
        assert!(!sampled(0.0) && sampled(1.0));
        assert!(share_of(u64::MAX) < 1.0 && share_of(0) >= 0.0);
    }
}
