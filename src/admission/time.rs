//! Time as admission is told it: nanoseconds since a start that the driver chose.
//!
//! Ours begins at zero, so that two runs can be compared line by line and a test can say
//! `at(250)` for "a quarter of a second in".

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A point in time, in nanoseconds since the driver's start. 584 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The driver's start.
    pub const ZERO: Timestamp = Timestamp(0);
    /// Later than anything that happens; a deadline that never comes.
    pub const NEVER: Timestamp = Timestamp(u64::MAX);

    /// The point `since_start` after the driver's start.
    pub const fn after(since_start: Duration) -> Timestamp {
        Timestamp(nanos(since_start))
    }

    /// How long after the driver's start this is.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long ago `earlier` was; zero when it lies ahead.
    pub const fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same in seconds, to the last digit; within the second it needs no whole ones.
    pub(crate) fn seconds_since(self, earlier: Timestamp) -> f64 {
        match u32::try_from(self.0.saturating_sub(earlier.0)) {
            Ok(nanos) if nanos < NANOS_PER_S => f64::from(nanos) / f64::from(NANOS_PER_S),
            _ => self.since(earlier).as_secs_f64(),
        }
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, rhs: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(nanos(rhs)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, rhs: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(nanos(rhs)))
    }
}

const NANOS_PER_S: u32 = 1_000_000_000;

/// Nanoseconds as they fit in 64 bits: a duration of centuries is as good as for ever.
const fn nanos(duration: Duration) -> u64 {
    let wide = duration.as_nanos();
    if wide > u64::MAX as u128 { u64::MAX } else { wide as u64 }
}

/// `at(250)` is a quarter of a second after the start.
#[cfg(test)]
pub(crate) const fn at(ms: u64) -> Timestamp {
    Timestamp::after(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_the_duration_to_the_last_digit() {
        let start = at(1_000);
        for exponent in 0..63 {
            for nanos in [(1 << exponent) - 1, 1 << exponent, 999_999_999 + exponent, 7 << exponent.min(60)] {
                let now = start + Duration::from_nanos(nanos);
                assert_eq!(now.seconds_since(start).to_bits(), now.since(start).as_secs_f64().to_bits(), "{nanos}");
            }
        }
        assert_eq!(at(0).seconds_since(start), 0.0);
    }
}
