//! Medians, ranges and percentiles.

/// The median of several rounds, and their range.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spread {
    /// The round in the middle, or the mean of the two in the middle.
    pub median: f64,
    /// The least round.
    pub min: f64,
    /// The greatest round.
    pub max: f64,
}

impl Spread {
    /// The spread of `rounds`; `None` without rounds.
    pub fn of(rounds: &[f64]) -> Option<Self> {
        let mut sorted = rounds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Self { median, min, max })
    }
}

/// The value that `fraction` of a sorted sample does not exceed, by the nearest-rank method; `None`
/// for an empty sample.
pub fn nearest_rank(sorted: &[u64], fraction: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank in a sample that fits into memory, held between its ends"
    )]
    let rank = (sorted.len() as f64 * fraction.clamp(0.0, 1.0)).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(last)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let odd = Spread::of(&[3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.min, odd.median, odd.max), (1.0, 2.0, 3.0));
        let even = Spread::of(&[4.0, 1.0, 2.0, 3.0]);
        assert_eq!(even.map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_percentile_is_a_value_of_the_sample() {
        let sample: Vec<u64> = (1..=1_000).collect();
        assert_eq!(nearest_rank(&sample, 0.5), Some(500));
        assert_eq!(nearest_rank(&sample, 0.999), Some(999));
        assert_eq!(nearest_rank(&sample, 1.0), Some(1_000));
        assert_eq!(nearest_rank(&[7], 0.0), Some(7));
        assert_eq!(nearest_rank(&[], 0.5), None);
    }
}
