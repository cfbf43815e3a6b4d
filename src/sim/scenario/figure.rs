//! The names of figures, and of what each can be taken.

use super::Figure;

impl Figure {
    /// How many there are.
    pub const COUNT: usize = 32;

    /// Every figure, in the order of every table.
    pub const ALL: [Figure; Figure::COUNT] = [
        Figure::GoodputPerS,
        Figure::Goodput,
        Figure::Lost,
        Figure::Served,
        Figure::Unserved,
        Figure::StepsServed,
        Figure::Journeys,
        Figure::JourneysShare,
        Figure::GaveUp,
        Figure::Attempts,
        Figure::Reached,
        Figure::AttemptsPerStep,
        Figure::ReachedPerStep,
        Figure::Wasted,
        Figure::LatencyP50,
        Figure::LatencyP99,
        Figure::PlantP99,
        Figure::WaitP95,
        Figure::WaitP99,
        Figure::JourneyP50,
        Figure::JourneyP95,
        Figure::LastJourney,
        Figure::LimitAtEnd,
        Figure::LimitMean,
        Figure::LimitP5,
        Figure::LimitP95,
        Figure::LimitDrift,
        Figure::MostInFlight,
        Figure::ShareAtEnd,
        Figure::ShareMost,
        Figure::FirstServed,
        Figure::Duplicates,
    ];

    /// The word in scenarios and tables; its unit comes last, where it is neither a count nor per cent.
    pub const fn name(self) -> &'static str {
        match self {
            Figure::GoodputPerS => "goodput_per_s",
            Figure::Goodput => "goodput",
            Figure::Lost => "lost_s",
            Figure::Served => "served",
            Figure::Unserved => "unserved",
            Figure::StepsServed => "steps_served",
            Figure::Journeys => "journeys",
            Figure::JourneysShare => "journeys_share",
            Figure::GaveUp => "gave_up",
            Figure::Attempts => "attempts",
            Figure::Reached => "reached",
            Figure::AttemptsPerStep => "attempts_per_step",
            Figure::ReachedPerStep => "reached_per_step",
            Figure::Wasted => "wasted",
            Figure::LatencyP50 => "latency_p50_ms",
            Figure::LatencyP99 => "latency_p99_ms",
            Figure::PlantP99 => "plant_p99_ms",
            Figure::WaitP95 => "wait_p95_ms",
            Figure::WaitP99 => "wait_p99_ms",
            Figure::JourneyP50 => "journey_p50_s",
            Figure::JourneyP95 => "journey_p95_s",
            Figure::LastJourney => "last_journey_s",
            Figure::LimitAtEnd => "limit_at_end",
            Figure::LimitMean => "limit_mean",
            Figure::LimitP5 => "limit_p5",
            Figure::LimitP95 => "limit_p95",
            Figure::LimitDrift => "limit_drift",
            Figure::MostInFlight => "most_in_flight",
            Figure::ShareAtEnd => "share_at_end",
            Figure::ShareMost => "share_most",
            Figure::FirstServed => "first_served_ms",
            Figure::Duplicates => "duplicates",
        }
    }

    /// The figure with this name.
    pub fn from_name(name: &str) -> Option<Figure> {
        Figure::ALL.into_iter().find(|figure| figure.name() == name)
    }

    /// Whether it can be taken over any window; others know the measured one, or the whole run.
    pub const fn of_any_window(self) -> bool {
        !matches!(
            self,
            Figure::JourneyP50
                | Figure::JourneyP95
                | Figure::LastJourney
                | Figure::LimitAtEnd
                | Figure::ShareAtEnd
                | Figure::Duplicates
        )
    }

    /// Whether it can be taken of one crowd; others are of the whole plant.
    pub const fn of_one_crowd(self) -> bool {
        !matches!(self, Figure::Wasted | Figure::Duplicates)
    }

    /// Whether it is in per cent, or in seconds, of the capacity, which a scenario need not tell.
    pub const fn needs_capacity(self) -> bool {
        matches!(self, Figure::Goodput | Figure::Lost)
    }

    /// Whether it is taken from times of which nothing is kept but histograms, one for each window that is asked for.
    pub const fn is_quantile(self) -> bool {
        matches!(self, Figure::LatencyP50 | Figure::LatencyP99 | Figure::PlantP99 | Figure::WaitP95 | Figure::WaitP99)
    }

    /// Whether it is a share, which is never above a hundred.
    pub const fn is_share(self) -> bool {
        matches!(
            self,
            Figure::Served
                | Figure::Unserved
                | Figure::StepsServed
                | Figure::JourneysShare
                | Figure::Wasted
                | Figure::ShareAtEnd
                | Figure::ShareMost
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_name_of_its_own_and_is_found_by_it() {
        for figure in Figure::ALL {
            assert_eq!(Figure::from_name(figure.name()), Some(figure));
        }
        assert_eq!(Figure::from_name("gooodput"), None);
    }

    #[test]
    fn all_is_every_figure_in_order() {
        let places: Vec<usize> = Figure::ALL.iter().map(|figure| *figure as usize).collect();
        assert_eq!(places, (0..Figure::COUNT).collect::<Vec<_>>());
        assert_eq!(Figure::Duplicates as usize + 1, Figure::COUNT, "a figure was added behind the last");
    }
}
