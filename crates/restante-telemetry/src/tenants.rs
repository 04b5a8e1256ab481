//! Series of tenants: only where they are asked for, and not more than the limit.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use restante_types::TenantId;

use crate::metric::Counter;
use crate::metrics::Metrics;
use crate::telemetry::TelemetrySettings;

/// Who has series of its own: the first tenants that were seen since the start, up to the limit.
#[derive(Debug)]
pub(crate) struct Tenants {
    limit: Option<usize>,
    known: RwLock<HashSet<TenantId>>,
}

impl Tenants {
    pub(crate) fn new(settings: TelemetrySettings) -> Self {
        Self {
            limit: settings.tenants.then_some(settings.tenant_limit),
            known: RwLock::default(),
        }
    }

    /// The value of the label; none where tenants are not told apart.
    pub(crate) fn label(&self, metrics: &Metrics, tenant: TenantId) -> Option<String> {
        let limit = self.limit?;
        let is_known = self
            .known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&tenant);
        if is_known || self.admit(limit, tenant) {
            return Some(tenant.to_string());
        }
        metrics.count(Counter::TenantSeriesDropped, &[], 1);
        Some("other".to_owned())
    }

    fn admit(&self, limit: usize, tenant: TenantId) -> bool {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.contains(&tenant) || (known.len() < limit && known.insert(tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: i64) -> TenantId {
        TenantId::new(n).unwrap()
    }

    #[test]
    fn without_being_asked_for_tenants_are_not_told_apart() {
        let tenants = Tenants::new(TelemetrySettings::default());
        assert_eq!(tenants.label(&Metrics::new(), tenant(1)), None);
    }

    #[test]
    fn beyond_the_limit_tenants_share_a_series_and_that_is_counted() {
        let (metrics, settings) = (
            Metrics::new(),
            TelemetrySettings {
                tenants: true,
                tenant_limit: 2,
            },
        );
        let tenants = Tenants::new(settings);
        let labels: Vec<_> = [1, 2, 3, 1, 4]
            .map(|n| tenants.label(&metrics, tenant(n)).unwrap())
            .into();
        assert_eq!(labels, ["1", "2", "other", "1", "other"]);
        let text = metrics.render().unwrap();
        assert!(text.contains("restante_tenant_series_dropped_total 2"), "{text}");
    }
}
