//! How much memory a process holds, as the kernel counts it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Time between two looks.
const SAMPLE: Duration = Duration::from_millis(3);

/// Resident memory of a process in octets: `VmRSS` of `/proc/<pid>/status`.
///
/// # Panics
/// If there is no such process.
pub fn resident_octets(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("the kernel counts resident memory in KiB")
        * 1024
}

/// Watches how far the resident memory of this process grows.
#[derive(Debug)]
pub struct Watch {
    start: u64,
    shared: Arc<Shared>,
    sampler: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    peak: AtomicU64,
    over: AtomicBool,
}

impl Watch {
    /// Begins to look, every few milliseconds.
    pub fn begin() -> Self {
        let start = resident_octets(std::process::id());
        let shared = Arc::new(Shared {
            peak: AtomicU64::new(start),
            over: AtomicBool::new(false),
        });
        let seen = Arc::clone(&shared);
        let sampler = std::thread::spawn(move || {
            while !seen.over.load(Ordering::Relaxed) {
                seen.peak
                    .fetch_max(resident_octets(std::process::id()), Ordering::Relaxed);
                std::thread::sleep(SAMPLE);
            }
        });
        Self {
            start,
            shared,
            sampler: Some(sampler),
        }
    }

    /// How much more memory there was, at its most, than at the beginning, in octets.
    pub fn growth(&self) -> u64 {
        let now = resident_octets(std::process::id());
        let peak = self.shared.peak.fetch_max(now, Ordering::Relaxed).max(now);
        peak - self.start
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(sampler) = self.sampler.take() {
            // A sampler that panicked has said so itself.
            drop(sampler.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_some_memory() {
        let resident = resident_octets(std::process::id());
        assert!(resident > 100_000, "{resident}");
    }

    #[test]
    fn growth_is_seen_also_when_it_is_over() {
        let watch = Watch::begin();
        let filled = vec![1_u8; 32 << 20];
        std::thread::sleep(10 * SAMPLE);
        drop(filled);
        assert!(watch.growth() > 24 << 20, "{}", watch.growth());
    }
}
