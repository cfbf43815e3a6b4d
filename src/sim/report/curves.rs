//! From records to points: what is drawn, not yet how.

use std::ops::Range;
use std::time::Duration;

use crate::sim::law::Look;
use crate::sim::record::{Counts, Run, Whose};

/// Points in the order of time, in seconds; a curve that has gaps is several.
pub(super) type Curve = Vec<Vec<(f64, f64)>>;

/// More points than a picture can show are merged into their means.
const MOST_POINTS: usize = 500;

/// How many of so many make one point.
pub(super) fn each(count: usize) -> usize {
    count.div_ceil(MOST_POINTS).max(1)
}

/// Something about each of these seconds of a run, over everybody meant; so many of them make
/// one point.
pub(super) fn by_second(
    run: &Run,
    whose: Whose,
    within: Range<usize>,
    each: usize,
    of: impl Fn(&[Counts]) -> Option<f64>,
) -> Curve {
    let first = within.start;
    let seconds: Vec<Counts> = within.map(|second| run.second(whose, second)).collect();
    let merged = seconds.chunks(each).enumerate().map(|(nth, chunk)| {
        let middle = (first + nth * each) as f64 + chunk.len() as f64 / 2.0;
        (middle, of(chunk))
    });
    unbroken(merged)
}

/// Something that is counted, per second.
pub(super) fn rate(run: &Run, whose: Whose, within: Range<usize>, each: usize, of: impl Fn(&Counts) -> u32) -> Curve {
    let seconds = |counts: &[Counts]| mean(counts, |counts| of(counts).into());
    by_second(run, whose, within, each, seconds)
}

/// How long those who passed had waited on average, in milliseconds; a gap where nobody passed.
pub(super) fn waited(run: &Run, whose: Whose, within: Range<usize>) -> Curve {
    let each = each(within.len());
    by_second(run, whose, within, each, |seconds| {
        let passed: u64 = seconds.iter().map(|counts| u64::from(counts.reached)).sum();
        let waited: u64 = seconds.iter().map(|counts| counts.waited_us).sum();
        (passed > 0).then(|| waited as f64 / 1_000.0 / passed as f64)
    })
}

/// Something about each look at a product; a gap where there is nothing.
pub(super) fn looked(run: &Run, product: usize, of: fn(&Look) -> Option<f64>) -> Curve {
    let looks = run.looks.get(product).map_or(&[][..], Vec::as_slice);
    let values: Vec<Option<f64>> = looks.iter().map(of).collect();
    sampled(&values, run.look_every)
}

/// Where the knee was.
pub(super) fn knee(run: &Run, product: usize) -> Curve {
    sampled(run.knees.get(product).map_or(&[][..], Vec::as_slice), run.look_every)
}

/// The highest and the mean of a curve between two times; `None` where there is none.
pub(super) fn summary(curve: &Curve, (from, to): (f64, f64)) -> Option<(f64, f64)> {
    let within = curve.iter().flatten().filter(|(at, _)| (from..=to).contains(at)).map(|(_, value)| *value);
    let count = within.clone().count();
    (count > 0).then(|| (within.clone().fold(0.0, f64::max), within.sum::<f64>() / count as f64))
}

fn sampled(values: &[Option<f64>], every: Duration) -> Curve {
    let each = each(values.len());
    unbroken(values.chunks(each).enumerate().map(|(nth, chunk)| {
        let middle = (nth * each) as f64 + (chunk.len() - 1) as f64 / 2.0;
        let known: Vec<f64> = chunk.iter().flatten().copied().collect();
        (middle * every.as_secs_f64(), mean(&known, |value| *value))
    }))
}

fn mean<T>(all: &[T], of: impl Fn(&T) -> f64) -> Option<f64> {
    (!all.is_empty()).then(|| all.iter().map(of).sum::<f64>() / all.len() as f64)
}

fn unbroken(points: impl Iterator<Item = (f64, Option<f64>)>) -> Curve {
    let mut pieces = vec![Vec::new()];
    for (at, value) in points {
        match value {
            Some(value) => pieces.last_mut().expect("there is always a last piece").push((at, value)),
            None => pieces.push(Vec::new()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::rehearsal::handmade::played;

    #[test]
    fn long_runs_are_merged_into_means_and_short_ones_are_not() {
        let run = played("sluss", 1);
        let curve = rate(&run, Whose::Product(0), 0..180, each(180), |counts| counts.attempts);
        assert_eq!((curve[0].len(), curve[0][0]), (180, (0.5, 30.0)));
        let merged = rate(&run, Whose::Product(0), 0..180, 26, |counts| counts.attempts);
        assert_eq!(merged[0].len(), 7);
        assert_eq!(merged[0][1], (39.0, (4.0 * 30.0 + 22.0 * 10.0) / 26.0), "26 seconds from 26 s on");
        let part = rate(&run, Whose::Product(0), 20..40, 1, |counts| counts.served);
        assert_eq!((part[0].len(), part[0][0], part[0][19]), (20, (20.5, 30.0), (39.5, 0.0)));
    }

    #[test]
    fn where_there_is_nothing_the_curve_has_a_gap() {
        let values = [Some(1.0), None, Some(3.0), Some(4.0)];
        let curve = sampled(&values, Duration::from_millis(500));
        assert_eq!(curve, [vec![(0.0, 1.0)], vec![(1.0, 3.0), (1.5, 4.0)]]);
        assert_eq!(summary(&curve, (0.5, 9.0)), Some((4.0, 3.5)));
        assert_eq!(summary(&curve, (5.0, 9.0)), None);
    }
}
