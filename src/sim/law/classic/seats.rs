//! The seats of a pool: how many there are, how many are taken, and by whom.

/// Counts of one pool. Products are named by their place in it.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    limit: u32,
    taken: u32,
    taken_by: Vec<u32>,
    percents: Vec<u32>,
}

impl Seats {
    /// All free. `percents` of the limit are guaranteed to the products of this pool.
    pub(super) fn new(limit: f64, percents: Vec<u32>) -> Seats {
        let mut seats = Seats { limit: 0, taken: 0, taken_by: vec![0; percents.len()], percents };
        seats.set_limit(limit);
        seats
    }

    /// As many as the whole part of `limit`, and one at least.
    pub(super) fn set_limit(&mut self, limit: f64) {
        self.limit = (limit as u32).max(1);
    }

    /// How many there are.
    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    /// How many are taken; more than there are after the limit has shrunk.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }

    /// How many one product has taken.
    pub(super) fn taken_by(&self, place: usize) -> u32 {
        self.taken_by[place]
    }

    /// Whether one is free.
    pub(super) fn has_room(&self) -> bool {
        self.taken < self.limit
    }

    /// How many products share them.
    pub(super) fn products(&self) -> usize {
        self.percents.len()
    }

    /// How many are guaranteed to one product.
    pub(super) fn guaranteed(&self, place: usize) -> u32 {
        let seats = u64::from(self.limit) * u64::from(self.percents[place]) / 100;
        u32::try_from(seats).unwrap_or(u32::MAX)
    }

    /// Whether one product has taken fewer than it is guaranteed.
    pub(super) fn is_below_guarantee(&self, place: usize) -> bool {
        self.taken_by[place] < self.guaranteed(place)
    }

    /// One is taken.
    pub(super) fn take(&mut self, place: usize) {
        self.taken += 1;
        self.taken_by[place] += 1;
    }

    /// One is given back.
    pub(super) fn give_back(&mut self, place: usize) {
        self.taken -= 1;
        self.taken_by[place] -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_part_of_a_limit_counts_and_one_may_always_pass() {
        let limits: Vec<u32> =
            [0.3, 1.9, 20.0, f64::INFINITY].into_iter().map(|limit| Seats::new(limit, vec![]).limit()).collect();
        assert_eq!(limits, [1, 1, 20, u32::MAX]);
    }

    #[test]
    fn guarantees_are_parts_of_the_limit() {
        let seats = Seats::new(20.0, vec![50, 30, 20]);
        assert_eq!([0, 1, 2].map(|place| seats.guaranteed(place)), [10, 6, 4]);
    }
}
