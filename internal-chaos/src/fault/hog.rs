//! Threads that burn CPU.

use std::hint::spin_loop;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

/// Rounds between two looks at the clock: some 100 µs.
const SPINS: u32 = 20_000;

/// Threads that burn CPU until they are dropped or their time is over, whichever comes first.
#[derive(Debug)]
#[must_use = "the burning ends when the hog is dropped"]
pub struct Hog {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hog {
    /// Burns on `threads` threads, wherever the system puts them, for at most `time`.
    pub fn start(threads: u32, time: Duration) -> io::Result<Self> {
        Self::start_on(threads, time, None)
    }

    /// As [`start`](Self::start), on these cores only.
    pub(super) fn start_on(
        threads: u32,
        time: Duration,
        cores: Option<CpuSet>,
    ) -> io::Result<Self> {
        let mut hog = Self {
            enough: Arc::default(),
            threads: Vec::new(),
        };
        let end = Instant::now() + time;
        for _ in 0..threads {
            let enough = Arc::clone(&hog.enough);
            let burning = move || {
                if let Some(cores) = cores {
                    // Refused only if the cores are gone; then it burns elsewhere.
                    let _ = sched_setaffinity(None, &cores);
                }
                burn(&enough, end);
            };
            let thread = thread::Builder::new().name("hog".to_owned()).spawn(burning);
            hog.threads.push(thread?);
        }
        Ok(hog)
    }

    /// Waits until all threads have ended.
    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            // It cannot panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        self.join();
    }
}

fn burn(enough: &AtomicBool, end: Instant) {
    while !enough.load(Ordering::Relaxed) && Instant::now() < end {
        for _ in 0..SPINS {
            spin_loop();
        }
    }
}
