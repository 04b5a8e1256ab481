//! `[telemetry]`: traces, and series of tenants. What `/metrics` shows is fixed otherwise, and served by `[admin]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ServiceUrl;

/// Traces, and series of tenants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// The collector of traces, OTLP over HTTP: `http://HOST:4318`. Left out: no traces.
    #[schemars(with = "Option<String>")]
    pub otlp_endpoint: Option<ServiceUrl>,
    /// File with headers for the collector, `Name: value`, one on each line.
    pub otlp_headers_file: Option<PathBuf>,
    /// The share of sessions that are traced, in percent.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub sample_percent: f64,
    /// Whether tenants have series of their own in `/metrics`, by their number: sessions, refused logins, octets.
    pub tenant_metrics: bool,
    /// After so many tenants since the start the others share `tenant="other"`.
    #[schemars(range(min = 1, max = 10_000))]
    pub tenant_limit: u32,
}

// `sample_percent` is a number by its schema, never NaN.
impl Eq for Telemetry {}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers_file: None,
            sample_percent: 1.0,
            tenant_metrics: false,
            tenant_limit: 200,
        }
    }
}
