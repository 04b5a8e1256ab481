//! Where log lines and spans go.
//!
//! Lines wait in a bounded queue for a thread that writes them to standard error: a log pipe that nobody reads costs
//! lines, which are counted, and never a session. Start at [`start`].

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::metric::Counter;
use crate::span::SPAN_TARGET;
use crate::traces::{self, Exporter, TraceSettings};
use crate::{Metrics, Telemetry};

/// Lines that wait to be written; about 4 MiB.
const QUEUE: usize = 16_384;

/// How long lines gather after some were written.
const GATHERING: Duration = Duration::from_millis(10);

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogForm {
    /// For people on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Pretty,
    /// A JSON object.
    Json,
}

/// The least important line that is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// What is written to standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSettings {
    /// The form of a line.
    pub form: LogForm,
    /// The least important line.
    pub level: LogLevel,
    /// Whether records of the audit are written, too.
    pub audit: bool,
}

/// Why nothing can be written or exported.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported: {0}")]
pub struct PipelineError(pub(crate) String);

/// Writes and exports as long as it lives; dropped, it writes what waits, within a few seconds.
#[derive(Debug)]
#[must_use = "nothing is written once it is dropped"]
pub struct Pipeline {
    logs: LogControl,
    // In the order in which they are to end: what the export has to say is still written.
    _spans: Option<Exporter>,
    _lines: WorkerGuard,
}

impl Pipeline {
    /// What changes which lines are written.
    pub fn logs(&self) -> LogControl {
        self.logs.clone()
    }
}

/// Changes which lines are written, while they are. Clones do the same.
#[derive(Clone)]
pub struct LogControl(reload::Handle<EnvFilter, Registry>);

impl LogControl {
    /// Puts another level in force, and whether the audit is written. The form of the lines stays.
    pub fn set(&self, log: LogSettings) {
        // Fails only where nothing is written at all.
        self.0.reload(filter(log)).ok();
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogControl")
    }
}

/// Writes log lines to standard error from now on, and exports spans if that is asked for. Where somebody listens
/// already, such as a test, it changes nothing.
///
/// # Errors
/// The address for spans is none.
pub fn start(
    log: LogSettings,
    traces: Option<&TraceSettings>,
    telemetry: &Telemetry,
) -> Result<Pipeline, PipelineError> {
    let (writer, lines) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE)
        .thread_name("log")
        .finish(Gathering(BufWriter::new(io::stderr())));
    count_dropped(telemetry, writer.error_counter());
    let terminal = io::stderr().is_terminal();
    let pretty = match log.form {
        LogForm::Auto => terminal,
        LogForm::Pretty => true,
        LogForm::Json => false,
    };
    let form = tracing_subscriber::fmt::layer().with_writer(writer);
    let (filter, control) = reload::Layer::new(filter(log));
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = vec![if pretty {
        Box::new(form.with_ansi(terminal).with_target(false).with_filter(filter))
    } else {
        Box::new(form.json().flatten_event(true).with_filter(filter))
    }];
    let spans = traces
        .map(|settings| traces::open(settings, telemetry))
        .transpose()?;
    if let Some(spans) = &spans {
        let ours = filter_fn(|about| about.is_span() && about.target() == SPAN_TARGET);
        layers.push(Box::new(spans.layer().with_filter(ours)));
    }
    // Fails where somebody listens already.
    drop(tracing_subscriber::registry().with(layers).try_init());
    Ok(Pipeline {
        logs: LogControl(control),
        _spans: spans,
        _lines: lines,
    })
}

/// What the thread writes to. Flushed once nothing waits, it rests: lines that come meanwhile are written together, and
/// those who wrote them need not wake the thread.
struct Gathering<W: Write>(BufWriter<W>);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()?;
        thread::sleep(GATHERING);
        Ok(())
    }
}

/// Our crates all begin with that name. What other libraries log is not under our promise of no secrets: warnings only.
fn filter(log: LogSettings) -> EnvFilter {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let audit = if log.audit { "info" } else { "off" };
    EnvFilter::new(format!("warn,restante={level},audit={audit},{SPAN_TARGET}=off"))
}

fn count_dropped(telemetry: &Telemetry, dropped: ErrorCounter) {
    let known = AtomicU64::new(0);
    telemetry.before_scrape(move |metrics: &Metrics| {
        let now = u64::try_from(dropped.dropped_lines()).unwrap_or(u64::MAX);
        let before = known.swap(now, Ordering::Relaxed);
        metrics.count(Counter::TelemetryDropped, &["logs"], now.saturating_sub(before));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_written_together_when_nothing_waits() {
        let mut gathering = Gathering(BufWriter::new(Vec::new()));
        for line in ["one\n", "two\n"] {
            gathering.write_all(line.as_bytes()).unwrap();
        }
        assert!(gathering.0.get_ref().is_empty());
        gathering.flush().unwrap();
        assert_eq!(gathering.0.get_ref().as_slice(), b"one\ntwo\n");
    }
}
