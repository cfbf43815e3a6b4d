//! When the next customer of a crowd comes.

use std::time::Duration;

use super::random::Random;
use super::scenario::Coming;
use crate::admission::Timestamp;

/// The arrivals of one crowd, one after the other.
#[derive(Debug)]
pub struct Arrivals(Kind);

#[derive(Debug)]
enum Kind {
    /// A Poisson process whose rate changes, by thinning (Lewis, Shedler 1979).
    Rate { points: Vec<(Duration, f64)>, linear: bool, most: f64, now: Duration, random: Random },
    /// Times that were drawn beforehand, the next one last.
    Drawn(Vec<Timestamp>),
    /// One after each gap.
    Even { gap: Duration, now: Duration },
}

impl Arrivals {
    /// As the crowd at this place of a scenario comes: the same for every driver that has the same seed.
    pub fn new(coming: &Coming, place: u16, seed: u64) -> Arrivals {
        let mut random = Random::nth(seed ^ 0x0A22_17E5, u64::from(place));
        Arrivals(match coming {
            Coming::Rate { points, linear } => {
                let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
                Kind::Rate { points: points.clone(), linear: *linear, most, now: Duration::ZERO, random }
            }
            Coming::Count { count, from, within } => {
                Kind::drawn((0..*count).map(|_| *from + draw(within, &mut random)).collect())
            }
            Coming::Spread { count, from, mean } => {
                Kind::drawn((0..*count).map(|_| *from + random.exponential(*mean)).collect())
            }
        })
    }

    /// At even distances: for measuring what a plant can do, where a lucky second would raise the yardstick.
    pub fn even(per_s: f64) -> Arrivals {
        Arrivals(Kind::Even { gap: Duration::from_secs_f64(1.0 / per_s), now: Duration::ZERO })
    }

    /// The next arrival, if any is still to come before `end`.
    pub fn next(&mut self, end: Duration) -> Option<Timestamp> {
        match &mut self.0 {
            Kind::Drawn(times) => times.pop().filter(|at| at.since_start() < end),
            Kind::Even { gap, now } => {
                *now += *gap;
                (*now < end).then_some(Timestamp::after(*now))
            }
            Kind::Rate { most, .. } if *most <= 0.0 => None,
            Kind::Rate { points, linear, most, now, random } => loop {
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

impl Kind {
    fn drawn(mut times: Vec<Duration>) -> Kind {
        times.sort_unstable_by(|a, b| b.cmp(a));
        Kind::Drawn(times.into_iter().map(Timestamp::after).collect())
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
        let mut arrivals = Arrivals::new(coming, 0, 1);
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

    #[test]
    fn of_a_spread_two_thirds_come_within_the_mean_and_whoever_is_later_than_the_end_does_not_come() {
        let spread = Coming::Spread { count: 7_000, from: secs(10), mean: secs(6) };
        let came = count(&spread, 120);
        assert_eq!((came.iter().sum::<u64>(), came[..10].iter().sum::<u64>()), (7_000, 0));
        let early: u64 = came[10..16].iter().sum();
        assert!((4_300..4_550).contains(&early), "1 - 1/e of them: {early}");
        assert_eq!(count(&spread, 16).iter().sum::<u64>(), early);
    }

    #[test]
    fn even_arrivals_keep_their_distance() {
        let mut arrivals = Arrivals::even(40.0);
        let first: Vec<_> = (0..3).filter_map(|_| arrivals.next(secs(1))).collect();
        assert_eq!(first, [25, 50, 75].map(crate::admission::time::at));
        assert_eq!(std::iter::from_fn(|| arrivals.next(secs(1))).count(), 36);
    }
}
