//! Where log lines go, and in which form.

use std::io::IsTerminal;

use restante_config::{Level, Log, LogFormat};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Writes log lines to standard error from now on. A second call changes nothing.
pub(crate) fn start(log: &Log) {
    let level = match log.level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let terminal = std::io::stderr().is_terminal();
    let pretty = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    // Our crates all begin with that name. What other libraries log is not under our promise of no secrets: warnings
    // only.
    let filter = EnvFilter::new(format!("warn,restante={level}"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = if pretty {
        subscriber.with_ansi(terminal).with_target(false).try_init()
    } else {
        subscriber.json().flatten_event(true).try_init()
    };
    // Somebody else, such as a test, listens already.
    drop(started);
}
