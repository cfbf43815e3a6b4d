//! When the next customer of a crowd comes.

use std::time::Duration;

use crate::admission::Timestamp;
use crate::sim::random::Random;
use crate::sim::scenario::Coming;

/// The arrivals of one crowd, one after the other.
#[derive(Debug)]
pub(super) enum Arrivals {
    /// A Poisson process whose rate changes, by thinning (Lewis, Shedler 1979).
    Rate { points: Vec<(Duration, f64)>, linear: bool, most: f64, now: Duration, random: Random },
    /// Times that were drawn beforehand, the next one last.
    Drawn(Vec<Timestamp>),
}

impl Arrivals {
    pub(super) fn new(coming: &Coming, mut random: Random) -> Arrivals {
        match coming {
            Coming::Rate { points, linear } => {
                let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
                Arrivals::Rate { points: points.clone(), linear: *linear, most, now: Duration::ZERO, random }
            }
            Coming::Count { count, from, within } => {
                let mut times: Vec<Timestamp> =
                    (0..*count).map(|_| Timestamp::after(*from + draw(within, &mut random))).collect();
                times.sort_unstable_by(|a, b| b.cmp(a));
                Arrivals::Drawn(times)
            }
        }
    }

    /// The next arrival, if any is still to come before `end`.
    pub(super) fn next(&mut self, end: Duration) -> Option<Timestamp> {
        match self {
            Arrivals::Drawn(times) => times.pop(),
            Arrivals::Rate { most, .. } if *most <= 0.0 => None,
            Arrivals::Rate { points, linear, most, now, random } => loop {
                *now += random.exponential(Duration::from_secs_f64(1.0 / *most));
                if *now >= end {
                    return None;
                }
                let kept = rate_at(points, *linear, *now) / *most;
                if kept >= 1.0 || (random.below(1 << 53) as f64) < kept * (1_u64 << 53) as f64 {
                    return Some(Timestamp::after(*now));
                }
            },
        }
    }
}

/// Customers per second at a time.
fn rate_at(points: &[(Duration, f64)], linear: bool, now: Duration) -> f64 {
    let later = points.partition_point(|(at, _)| *at <= now);
    let Some((from, rate)) = later.checked_sub(1).map(|last| points[last]) else { return 0.0 };
    match points.get(later) {
        Some((to, next)) if linear => rate + (next - rate) * (now - from).as_secs_f64() / (*to - from).as_secs_f64(),
        _ => rate,
    }
}

fn draw(within: &[(u32, Duration)], random: &mut Random) -> Duration {
    let mut drawn = random.below(100) as u32;
    for (share, over) in within {
        match drawn.checked_sub(*share) {
            Some(left) => drawn = left,
            None => return random.between(Duration::ZERO, *over),
        }
    }
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn count(coming: &Coming, until: u64) -> Vec<u64> {
        let mut arrivals = Arrivals::new(coming, Random::new(1));
        let mut by_second = vec![0; until as usize];
        let mut last = Timestamp::ZERO;
        while let Some(at) = arrivals.next(secs(until)) {
            assert!(at >= last);
            last = at;
            by_second[at.since_start().as_secs() as usize] += 1;
        }
        by_second
    }

    #[test]
    fn a_rate_is_what_it_says_in_every_stretch() {
        let points = vec![(secs(0), 600.0), (secs(10), 2000.0), (secs(20), 0.0)];
        let came = count(&Coming::Rate { points: points.clone(), linear: false }, 30);
        let sum = |range: std::ops::Range<usize>| came[range].iter().sum::<u64>();
        assert!((5_700..6_300).contains(&sum(0..10)) && (19_500..20_500).contains(&sum(10..20)), "{came:?}");
        assert_eq!(sum(20..30), 0);
        let even = count(&Coming::Rate { points, linear: true }, 30);
        assert!((12_500..13_500).contains(&even[..10].iter().sum::<u64>()), "from 600 to 2000: {even:?}");
    }

    #[test]
    fn a_count_comes_whole_and_in_its_parts() {
        let within = vec![(50, secs(6)), (50, secs(60))];
        let came = count(&Coming::Count { count: 20_000, from: secs(5), within }, 70);
        assert_eq!(came.iter().sum::<u64>(), 20_000);
        assert_eq!(came[..5].iter().sum::<u64>(), 0);
        let rush: u64 = came[5..11].iter().sum();
        assert!((10_700..11_300).contains(&rush), "half of them, and a tenth of the others: {rush}");
    }
}
