//! Any world at all: from one number a small house, crowds, and a bad day for both.
//!
//! Nothing is meant to be likely here. One to five products share stations, pools and budgets or do not; limits are
//! given or found; lines hold from one to thousands; customers of every manner come evenly, in ramps and at once, with
//! two devices or none worth the name; operators, signals and faults come when they come. What must hold is what
//! [`checks`](super::checks) hold against every step, whatever the world.
//!
//! The same number makes the same world on every machine.

mod house;
mod people;
mod trouble;

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::law::{OURS, build};
use super::random::Random;
use super::record::Run;
use super::scenario::Scenario;
use super::world;

/// The world that `seed` makes.
pub fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice(Random::new(seed ^ 0xC4A0_5000));
    let lasts = dice.time(8_000, 20_000);
    let requests = dice.count(2_000, 5_000);
    let mut scenario = house::scenario(&mut dice, lasts);
    scenario.name = format!("chaos {seed}");
    people::come(&mut dice, &mut scenario, requests);
    trouble::happens(&mut dice, &mut scenario);
    house::cap_reserves(&mut dice, &mut scenario);
    house::keep_turns(&mut dice, &mut scenario);
    scenario
}

/// Plays the world that `seed` makes under our own admission. What was found wrong is in [`Run::violations`]; a run that
/// came down is an error with the last words.
pub fn play(seed: u64) -> Result<Run, String> {
    let scenario = scenario(seed);
    let run = || build(OURS, &scenario, seed).map(|law| world::run(&scenario, OURS, law, seed, &mut |_| ()));
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        Err(said.or_else(|| panic.downcast_ref().copied()).unwrap_or("it came down without a word").to_owned())
    })
}

/// What worlds are made with.
struct Dice(Random);

impl Dice {
    /// From `least` to `most`, both included.
    fn count(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.below(most - least + 1)
    }

    fn small(&mut self, least: u64, most: u64) -> u32 {
        u32::try_from(self.count(least, most)).expect("what is drawn here is small")
    }

    fn seats(&mut self, least: u64, most: u64) -> NonZeroU32 {
        NonZeroU32::new(self.small(least.max(1), most)).expect("from one up")
    }

    fn index(&mut self, of: usize) -> usize {
        usize::try_from(self.0.below(of as u64)).expect("it fitted before")
    }

    /// Between so many milliseconds, to the nanosecond: coincidences are drawn elsewhere.
    fn time(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        self.0.between(Duration::from_millis(least_ms), Duration::from_millis(most_ms))
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.0.chance(percent)
    }

    fn part(&mut self, least_percent: u64, most_percent: u64) -> f64 {
        self.count(least_percent, most_percent) as f64 / 100.0
    }

    fn one_of<T: Copy>(&mut self, these: &[T]) -> T {
        these[self.index(these.len())]
    }

    /// So many shares, of at least one each, that come to a hundred.
    fn hundred(&mut self, shares: usize) -> Vec<u32> {
        let mut left = 100;
        let mut drawn = Vec::new();
        for after in (0..shares as u64).rev() {
            let share = if after == 0 { left } else { self.count(1, left - after) };
            left -= share;
            drawn.push(u32::try_from(share).expect("a part of a hundred"));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_world() {
        assert_eq!(format!("{:?}", scenario(7)), format!("{:?}", scenario(7)));
        assert_ne!(format!("{:?}", scenario(7)), format!("{:?}", scenario(8)));
    }

    #[test]
    fn shares_come_to_a_hundred() {
        let mut dice = Dice(Random::new(1));
        for shares in 1..=5 {
            let drawn = dice.hundred(shares);
            assert!(drawn.len() == shares && drawn.iter().sum::<u32>() == 100 && !drawn.contains(&0), "{drawn:?}");
        }
    }
}
