//! What the caches told a recorder, as Prometheus scrapes it, beside what the servers counted.

use std::collections::BTreeMap;
use std::time::Duration;

use auth_providers::demo::{EMAIL, PASSWORD};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::scenario::Finished;
use crate::steps::OTHER_PASSWORD;

/// The recorder of this program.
pub(crate) struct Recorder(PrometheusHandle);

impl Recorder {
    /// Records from now on, whatever is recorded.
    pub(crate) fn install() -> anyhow::Result<Self> {
        Ok(Self(PrometheusBuilder::new().install_recorder()?))
    }

    /// A scrape in which everything is told. A cache tells its observers after its callers, so that
    /// may take a moment.
    pub(crate) async fn scrape(&self, finished: &[Finished]) -> Scrape {
        for _ in 0..100 {
            let scrape = Scrape(self.0.render());
            if scrape.broken(finished).is_empty() {
                return scrape;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Scrape(self.0.render())
    }
}

/// One scrape.
pub(crate) struct Scrape(String);

impl Scrape {
    /// Prints the counts, of all origins of a provider together.
    pub(crate) fn print(&self) {
        println!("What the caches told a recorder:\n");
        for (name, count) in self.counts() {
            println!("{count:>7}  {name}");
        }
        println!();
    }

    /// What is not as the servers counted it, or should not be there.
    pub(crate) fn broken(&self, finished: &[Finished]) -> Vec<String> {
        let counted = |count: fn(&Finished) -> u64| finished.iter().map(count).sum::<u64>();
        let logins = ["auth_client_logins{", r#"auth_outcome="success""#];
        let mut broken = Vec::new();
        for (labels, promised) in [
            (&logins[..], counted(|it| it.counts.logins.ok)),
            (
                &["auth_client_logins{", r#"error_type="refused""#],
                counted(|it| it.counts.logins.refused),
            ),
            (
                &["auth_client_logins{", r#"error_type="unavailable""#],
                counted(|it| it.counts.logins.unavailable),
            ),
            (&["auth_client_replays{"], counted(|it| it.counts.replays)),
            (
                &[
                    "auth_client_callers_turned_away{",
                    r#"error_type="refused""#,
                ],
                counted(|it| it.told),
            ),
        ] {
            let told = self.sum(labels);
            if told != promised {
                broken.push(format!("{labels:?}: {told} told, {promised} counted"));
            }
        }
        for secret in [EMAIL, PASSWORD, OTHER_PASSWORD] {
            if self.0.contains(secret) {
                broken.push(format!("{secret} is in the scrape"));
            }
        }
        broken
    }

    /// The counters, and the number of observations of each histogram, without the origin.
    fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for (series, value) in self.series() {
            let buckets = series.contains("_bucket{") || series.contains("quantile=");
            if buckets || series.contains("_sum{") {
                continue;
            }
            let labels = series
                .split(',')
                .filter(|label| !label.starts_with("server_"));
            let name = labels.collect::<Vec<_>>().join(",");
            *counts.entry(name).or_default() += value;
        }
        counts
    }

    fn sum(&self, labels: &[&str]) -> u64 {
        let wanted = |series: &str| labels.iter().all(|label| series.contains(label));
        let counted = self.series().filter(|(series, _)| wanted(series));
        counted.map(|(_, value)| value).sum()
    }

    fn series(&self) -> impl Iterator<Item = (&str, u64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series, value.parse().ok()?))
        })
    }
}
