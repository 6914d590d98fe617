//! Percentiles by nearest rank: each is a value that was measured. Nothing is estimated between two.

/// What a row says of its samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) n: usize,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

/// The summary; `None` without samples.
pub(crate) fn summary(samples: &[f64]) -> Option<Summary> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let max = *sorted.last()?;
    let at = |percent| rank(&sorted, percent).unwrap_or(max);
    Some(Summary { n: sorted.len(), p50: at(50), p90: at(90), p99: at(99), max })
}

/// The smallest value that at least `percent` of the values do not exceed.
fn rank(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_exact() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(summary(&hundred), Some(Summary { n: 100, p50: 50.0, p90: 90.0, p99: 99.0, max: 100.0 }));
        assert_eq!(summary(&[7.0]), Some(Summary { n: 1, p50: 7.0, p90: 7.0, p99: 7.0, max: 7.0 }));
        assert_eq!(summary(&[2.0, 1.0, 3.0]).map(|s| (s.p50, s.p99)), Some((2.0, 3.0)));
        assert_eq!(summary(&[]), None);
    }
}
