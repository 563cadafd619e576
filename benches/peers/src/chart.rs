//! The latency of callers over time, drawn as small multiples.

use std::fmt::Write;
use std::time::Duration;

use auth_benches::Latencies;

pub struct Panel {
    pub name: &'static str,
    pub latencies: Latencies,
    /// The start and the end of the login of the renewal, in nanoseconds from the start of the run.
    pub login: Option<(u64, u64)>,
}

const COLUMNS: usize = 3;
const WIDTH: f64 = 250.0;
const HEIGHT: f64 = 130.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 92.0;
const GAP_X: f64 = 28.0;
const GAP_Y: f64 = 54.0;
/// The axis of the latency, in powers of ten of a nanosecond: 10 ns to 1 s.
const LEAST: f64 = 1.0;
const MOST: f64 = 9.0;
const BUCKET: u64 = 10_000_000;

/// Three of the panels: ours, the one of the others with the lowest peak, and the median of the
/// others by their peaks. For a reader who wants to see what is usual, and not eleven rivals.
pub fn three(panels: &[Panel]) -> Vec<&Panel> {
    let peak = |panel: &&Panel| {
        let took = panel.latencies.points.iter().map(|(_, took)| *took);
        took.max().unwrap_or(0)
    };
    let (ours, mut others): (Vec<&Panel>, Vec<&Panel>) =
        panels.iter().partition(|panel| panel.name == OURS);
    others.sort_by_key(peak);
    let usual = others.get(others.len() / 2).copied();
    let best = others.first().copied();
    ours.into_iter().chain(best).chain(usual).collect()
}

const OURS: &str = "auth-core";

/// An SVG with a panel for each peer: the slowest caller and the median one, every 10 ms.
pub fn draw(panels: &[&Panel], length: Duration) -> String {
    let rows = panels.len().div_ceil(COLUMNS);
    let width = LEFT + COLUMNS as f64 * (WIDTH + GAP_X);
    let height = TOP + rows as f64 * (HEIGHT + GAP_Y) + 8.0;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="system-ui, sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="{LEFT}" y="26" font-size="17" font-weight="600" fill="#1a1a1a">Latency of callers through a renewal: lower is better</text>
<text x="14" y="{}" transform="rotate(-90 14 {})" text-anchor="middle" fill="#555">latency, log scale</text>
<text x="{LEFT}" y="45" fill="#555">200 callers get a credential about every other millisecond; one renewal, whose login takes 200 ms (shaded).</text>
<line x1="{LEFT}" y1="62" x2="{}" y2="62" stroke="#c2410c" stroke-width="1.5"/><text x="{}" y="66" fill="#333">slowest caller, every 10 ms</text>
<line x1="{}" y1="62" x2="{}" y2="62" stroke="#1d4ed8" stroke-width="1.5"/><text x="{}" y="66" fill="#333">median caller, every 10 ms</text>
"##,
        TOP + 14.0 + HEIGHT / 2.0,
        TOP + 14.0 + HEIGHT / 2.0,
        LEFT + 22.0,
        LEFT + 28.0,
        LEFT + 250.0,
        LEFT + 272.0,
        LEFT + 278.0,
    );
    for (index, panel) in panels.iter().enumerate() {
        let x = LEFT + (index % COLUMNS) as f64 * (WIDTH + GAP_X);
        let y = TOP + (index / COLUMNS) as f64 * (HEIGHT + GAP_Y) + 14.0;
        draw_panel(&mut svg, panel, x, y, length, index % COLUMNS == 0);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_panel(svg: &mut String, panel: &Panel, x: f64, y: f64, length: Duration, first: bool) {
    let span = length.as_nanos() as f64;
    let at = |nanos: f64| x + nanos / span * WIDTH;
    let up = |nanos: f64| y + HEIGHT - (nanos.max(10.0).log10() - LEAST) / (MOST - LEAST) * HEIGHT;
    let weight = if panel.name == OURS { 700 } else { 500 };
    let _ = writeln!(
        svg,
        r##"<text x="{x}" y="{}" font-size="12.5" font-weight="{weight}" fill="#1a1a1a">{}</text>
<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" fill="#fafafa" stroke="#d4d4d4"/>"##,
        y - 6.0,
        panel.name,
    );
    if let Some((begin, end)) = panel.login {
        let (begin, end) = (at(begin as f64), at((end as f64).min(span)));
        let _ = writeln!(
            svg,
            r##"<rect x="{begin:.1}" y="{y}" width="{:.1}" height="{HEIGHT}" fill="#fde68a" opacity="0.55"/>"##,
            (end - begin).max(0.0),
        );
    }
    for (nanos, label) in [
        (1e2, "100 ns"),
        (1e4, "10 µs"),
        (1e6, "1 ms"),
        (1e8, "100 ms"),
    ] {
        let line = up(nanos);
        let _ = writeln!(
            svg,
            r##"<line x1="{x}" y1="{line:.1}" x2="{:.1}" y2="{line:.1}" stroke="#e5e5e5"/>"##,
            x + WIDTH,
        );
        if first {
            let _ = writeln!(
                svg,
                r##"<text x="{:.1}" y="{:.1}" text-anchor="end" fill="#555">{label}</text>"##,
                x - 6.0,
                line + 4.0,
            );
        }
    }
    for half in 0..=(length.as_millis() / 500) {
        let line = at(half as f64 * 5e8);
        let seconds = half as f64 / 2.0;
        let _ = writeln!(
            svg,
            r##"<line x1="{line:.1}" y1="{0:.1}" x2="{line:.1}" y2="{1:.1}" stroke="#a3a3a3"/><text x="{line:.1}" y="{2:.1}" text-anchor="middle" fill="#555">{seconds} s</text>"##,
            y + HEIGHT,
            y + HEIGHT + 4.0,
            y + HEIGHT + 16.0,
        );
    }
    for (fraction, colour) in [(1.0, "#c2410c"), (0.5, "#1d4ed8")] {
        let points: String = buckets(&panel.latencies, length)
            .filter_map(|(time, sorted)| {
                let nanos = auth_benches::nearest_rank(&sorted, fraction)?;
                Some(format!("{:.1},{:.1} ", at(time as f64), up(nanos as f64)))
            })
            .collect();
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="1.2" stroke-linejoin="round"/>"#,
            points.trim_end(),
        );
    }
}

/// The latencies of the calls that were in progress within each 10 ms, sorted. A call counts in
/// every bucket that it lasts through.
fn buckets(latencies: &Latencies, length: Duration) -> impl Iterator<Item = (u64, Vec<u64>)> {
    let count = usize::try_from(length.as_nanos() as u64 / BUCKET).unwrap_or(0);
    let mut buckets = vec![Vec::new(); count];
    let bucket_of = |time: u64| usize::try_from(time / BUCKET).unwrap_or(count).min(count);
    for &(time, took) in &latencies.points {
        let last = (bucket_of(time + took) + 1).min(count);
        for bucket in &mut buckets[bucket_of(time).min(last)..last] {
            bucket.push(took);
        }
    }
    (0..).zip(buckets).map(|(index, mut bucket)| {
        bucket.sort_unstable();
        (index * BUCKET + BUCKET / 2, bucket)
    })
}
