//! Spans on their way to a collector, as OTLP over HTTP.
//!
//! A bounded queue stands between sessions and a thread that exports: a collector that is slow or gone costs spans,
//! which are counted, and never a session. Start at [`open`].

use std::fmt;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Registry;

use crate::Telemetry;
use crate::logs::PipelineError;
use crate::metric::Counter;

/// Spans that wait for the collector.
const QUEUE: usize = 4_096;
/// Spans exported at once.
const BATCH: usize = 512;
/// How long a span waits for others.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the collector may take for a batch.
const LIMIT: Duration = Duration::from_secs(5);

/// Where spans go.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    /// The collector's address: `http://HOST:4318`; `/v1/traces` is added.
    pub endpoint: String,
    /// Headers for it, such as its access token. Never logged.
    pub headers: Vec<(String, String)>,
    /// The name of this frontend (`service.instance.id`).
    pub node: String,
}

/// Spans on their way; dropped, those that wait are exported within a few seconds.
#[derive(Debug)]
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Begins to export.
pub(crate) fn open(settings: &TraceSettings, telemetry: &Telemetry) -> Result<Exporter, PipelineError> {
    let resource = Resource::builder_empty()
        .with_service_name("restante")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", settings.node.clone()))
        .build();
    let queue = Queue::start(settings, resource.clone(), telemetry)?;
    let provider = SdkTracerProvider::builder()
        // Which sessions are traced is decided when they begin.
        .with_sampler(Sampler::AlwaysOn)
        .with_span_processor(queue)
        .with_resource(resource)
        .build();
    let tracer = provider.tracer("restante");
    Ok(Exporter { provider, tracer })
}

impl Exporter {
    pub(crate) fn layer(&self) -> OpenTelemetryLayer<Registry, SdkTracer> {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "not all spans were exported");
        }
    }
}

/// What the exporting thread is told.
enum Message {
    Span(Box<SpanData>),
    /// Everything before this is to be exported; then it answers.
    Flush(SyncSender<()>),
    Close(SyncSender<()>),
}

/// The sessions' end of the queue.
struct Queue {
    sender: SyncSender<Message>,
    telemetry: Telemetry,
}

impl Queue {
    fn start(
        settings: &TraceSettings,
        resource: Resource,
        telemetry: &Telemetry,
    ) -> Result<Self, PipelineError> {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let (opened, is_open) = mpsc::sync_channel(1);
        let settings = settings.clone();
        let watch = telemetry.clone();
        let work = move || match exporter(&settings, &resource) {
            Ok(exporter) => {
                drop(opened.send(Ok(())));
                Worker {
                    exporter,
                    telemetry: watch,
                    is_lost: false,
                }
                .run(&receiver);
            }
            Err(error) => drop(opened.send(Err(error))),
        };
        let spawned = std::thread::Builder::new().name("spans".to_owned()).spawn(work);
        spawned.map_err(|error| PipelineError(error.to_string()))?;
        is_open
            .recv()
            .map_err(|_| PipelineError("the exporting thread ended".to_owned()))??;
        Ok(Self {
            sender,
            telemetry: telemetry.clone(),
        })
    }

    fn wait(&self, message: impl FnOnce(SyncSender<()>) -> Message, limit: Duration) -> OTelSdkResult {
        let (done, is_done) = mpsc::sync_channel(1);
        // A full queue makes room within the time of one batch.
        self.sender
            .send(message(done))
            .map_err(|_| OTelSdkError::AlreadyShutdown)?;
        is_done
            .recv_timeout(limit)
            .map_err(|_| OTelSdkError::Timeout(limit))
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send(Message::Span(Box::new(span)))
        {
            self.telemetry.count(Counter::TelemetryDropped, &["spans"]);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.wait(Message::Flush, LIMIT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.wait(Message::Close, timeout.min(LIMIT))
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

/// The HTTP client is one that blocks, and must be made where that is allowed.
fn exporter(settings: &TraceSettings, resource: &Resource) -> Result<SpanExporter, PipelineError> {
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", settings.endpoint.trim_end_matches('/')))
        .with_timeout(LIMIT)
        .with_headers(settings.headers.iter().cloned().collect())
        .build()
        .map_err(|error| PipelineError(error.to_string()))?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// The thread's end of the queue.
struct Worker {
    exporter: SpanExporter,
    telemetry: Telemetry,
    is_lost: bool,
}

impl Worker {
    fn run(mut self, receiver: &Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(Message::Span(span)) => {
                    batch.push(*span);
                    if batch.len() >= BATCH {
                        self.export(&mut batch);
                    }
                }
                Ok(Message::Flush(done)) => {
                    self.export(&mut batch);
                    done.send(()).ok();
                }
                Ok(Message::Close(done)) => {
                    self.export(&mut batch);
                    done.send(()).ok();
                    return;
                }
                Err(RecvTimeoutError::Timeout) => self.export(&mut batch),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Exports once; spans that the collector does not take are gone.
    fn export(&mut self, batch: &mut Vec<SpanData>) {
        if batch.is_empty() {
            return;
        }
        let n_spans = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        let spans = std::mem::replace(batch, Vec::with_capacity(BATCH));
        let exported = futures_executor::block_on(self.exporter.export(spans));
        let result = if exported.is_ok() { "ok" } else { "failed" };
        self.telemetry
            .metrics()
            .count(Counter::SpansExported, &[result], n_spans);
        // Once per outage. The library's error may quote an answer of the collector, and with it our headers.
        match (exported.is_err(), self.is_lost) {
            (true, false) => tracing::warn!("spans are lost: the collector does not take them"),
            (false, true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        self.is_lost = exported.is_err();
    }
}
