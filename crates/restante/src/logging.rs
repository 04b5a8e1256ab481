//! Where log lines and spans go: the settings, as the telemetry takes them.

use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, anyhow};
use restante_config::{Config, Level, Log, LogFormat};
use restante_telemetry::{
    LogControl, LogForm, LogLevel, LogSettings, Pipeline, PipelineError, Telemetry, TelemetrySettings,
    TraceSettings,
};

use crate::output::Failure;

/// Largest file of headers, in octets.
const HEADERS: u64 = 64 * 1024;

/// What is observed beyond the closed sets.
pub(crate) fn telemetry(config: &Config) -> Telemetry {
    Telemetry::new(TelemetrySettings {
        tenants: config.telemetry.tenant_metrics,
        tenant_limit: config.telemetry.tenant_limit as usize,
    })
}

/// What is written to standard error.
pub(crate) fn settings(log: &Log) -> LogSettings {
    LogSettings {
        form: match log.format {
            LogFormat::Auto => LogForm::Auto,
            LogFormat::Pretty => LogForm::Pretty,
            LogFormat::Json => LogForm::Json,
        },
        level: match log.level {
            Level::Error => LogLevel::Error,
            Level::Warn => LogLevel::Warn,
            Level::Info => LogLevel::Info,
            Level::Debug => LogLevel::Debug,
            Level::Trace => LogLevel::Trace,
        },
        audit: log.audit,
    }
}

/// What writes and exports, from the first start to [`finish`].
static PIPELINE: Mutex<Option<Pipeline>> = Mutex::new(None);

/// Writes log lines from now on; for a command beside a server.
pub(crate) fn start(log: &Log) -> Result<(), Failure> {
    keep(restante_telemetry::start(
        settings(log),
        None,
        &Telemetry::default(),
    ))
    .map(|_| ())
}

/// Writes log lines and exports spans from now on; for a server.
pub(crate) fn start_to_serve(
    config: &Config,
    node: String,
    telemetry: &Telemetry,
) -> Result<LogControl, Failure> {
    let traces = match &config.telemetry.otlp_endpoint {
        None => None,
        Some(endpoint) => Some(TraceSettings {
            endpoint: endpoint.expose().to_owned(),
            headers: match &config.telemetry.otlp_headers_file {
                Some(path) => headers(path).map_err(Failure::setup)?,
                None => Vec::new(),
            },
            node,
        }),
    };
    keep(restante_telemetry::start(
        settings(&config.log),
        traces.as_ref(),
        telemetry,
    ))
}

fn keep(started: Result<Pipeline, PipelineError>) -> Result<LogControl, Failure> {
    let pipeline = started.map_err(Failure::setup)?;
    let control = pipeline.logs();
    *PIPELINE.lock().unwrap_or_else(PoisonError::into_inner) = Some(pipeline);
    Ok(control)
}

/// Writes what still waits. Not inside a runtime, which the exporter must not block.
pub(crate) fn finish() {
    drop(PIPELINE.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// `Name: value`, one on each line.
fn headers(path: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let at = || format!("telemetry.otlp_headers_file: {}", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(at)?;
    file.take(HEADERS).read_to_string(&mut text).with_context(at)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .enumerate()
        .map(|(nth, line)| {
            // Nothing of the line is repeated: it holds a secret.
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| anyhow!("{}: line {} is not `Name: value`", at(), nth + 1))?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        })
        .collect()
}
