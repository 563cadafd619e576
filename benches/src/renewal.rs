//! The latency of callers over time, through a renewal.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::statistics::nearest_rank;
use crate::time::{Timestamp, monotonic};

/// Callers that get a credential again and again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of callers.
    pub callers: usize,
    /// The pause of a caller between two calls.
    pub rest: Duration,
    /// The length of the run.
    pub length: Duration,
}

impl Traffic {
    /// Two hundred callers, each of which calls about every other millisecond.
    pub const fn lasting(length: Duration) -> Self {
        Self {
            callers: 200,
            rest: Duration::from_millis(1),
            length,
        }
    }

    /// Lets the callers await the futures that `ask` makes, and records the latency of each call.
    pub fn run<F>(
        self,
        runtime: &Runtime,
        ask: impl Fn() -> F + Clone + Send + 'static,
    ) -> Latencies
    where
        F: Future<Output = bool> + Send,
    {
        let start = monotonic();
        let mut latencies = Latencies::since(start);
        runtime.block_on(async {
            let mut callers = JoinSet::new();
            for _ in 0..self.callers {
                let ask = ask.clone();
                callers.spawn(async move {
                    let mut own = Latencies::since(start);
                    loop {
                        let asked = monotonic();
                        let since = asked.saturating_duration_since(start);
                        if since >= self.length {
                            return own;
                        }
                        let served = ask().await;
                        own.note(since, asked.elapsed(), served);
                        tokio::time::sleep(self.rest).await;
                    }
                });
            }
            while let Some(Ok(own)) = callers.join_next().await {
                latencies.points.extend(own.points);
                latencies.failed += own.failed;
            }
        });
        latencies
    }
}

/// The latency of each call in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Latencies {
    /// The start of the run.
    pub start: Timestamp,
    /// The start of each call, counted from that of the run, and its latency, in nanoseconds.
    pub points: Vec<(u64, u64)>,
    /// The number of calls that got no credential.
    pub failed: u64,
}

impl Latencies {
    const fn since(start: Timestamp) -> Self {
        Self {
            start,
            points: Vec::new(),
            failed: 0,
        }
    }

    fn note(&mut self, since: Duration, took: Duration, served: bool) {
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.points.push((nanos(since), nanos(took)));
        self.failed += u64::from(!served);
    }

    /// The latencies that these fractions of the calls do not exceed, in nanoseconds.
    pub fn percentiles<const N: usize>(&self, fractions: [f64; N]) -> [u64; N] {
        let mut sorted: Vec<u64> = self.points.iter().map(|(_, took)| *took).collect();
        sorted.sort_unstable();
        fractions.map(|fraction| nearest_rank(&sorted, fraction).unwrap_or(0))
    }
}
