//! How well a hand of queues keeps a mouse from elephants: shuffle sharding as Kubernetes does it.
//!
//! API Priority and Fairness deals each flow a hand of a few queues out of many; a light flow is squashed when each of
//! its queues is also in the hand of some heavy one. Kubernetes publishes how probable that is
//! (<https://kubernetes.io/docs/concepts/cluster-administration/flow-control/>): [`table`] sets our two ways of telling
//! beside it. [`Dealer::squashed`] calculates; [`Dealer::squashed_in_trials`] deals and counts.

use super::random::Random;

/// Deals hands of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dealer {
    queues: u32,
    hand: u32,
}

/// How many elephants the published table knows.
pub const ELEPHANTS: [u32; 3] = [1, 4, 16];

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The dealer it is about.
    pub dealer: Dealer,
    /// What Kubernetes publishes, by [`ELEPHANTS`].
    pub published: [f64; 3],
    /// What we calculate.
    pub calculated: [f64; 3],
    /// In which part of the trials it happened.
    pub counted: [f64; 3],
}

/// The published table beside ours, counted in so many trials.
pub fn table(trials: u32, seed: u64) -> Vec<Row> {
    PUBLISHED
        .iter()
        .map(|&(hand, queues, published)| {
            let dealer = Dealer { queues, hand };
            Row {
                dealer,
                published,
                calculated: ELEPHANTS.map(|elephants| dealer.squashed(elephants)),
                counted: ELEPHANTS.map(|elephants| dealer.squashed_in_trials(elephants, trials, seed)),
            }
        })
        .collect()
}

impl Dealer {
    /// A dealer of `hand` out of `queues`; an error is a sentence on why there can be none.
    ///
    /// A hash of 64 bits must hold far more than there are ordered hands, or some would be dealt noticeably more often.
    pub fn new(queues: u32, hand: u32) -> Result<Dealer, String> {
        if hand == 0 || hand > queues {
            return Err(format!("a hand has from 1 to all of {queues} queues, not {hand}"));
        }
        let dealer = Dealer { queues, hand };
        match dealer.ordered_hands() {
            Some(hands) if hands <= MOST_HANDS => Ok(dealer),
            _ => Err(format!("a hash is too short to deal {hand} of {queues} queues evenly: fewer of them, please")),
        }
    }

    /// How many queues are dealt from.
    pub fn queues(&self) -> u32 {
        self.queues
    }

    /// How many are dealt to each.
    pub fn hand(&self) -> u32 {
        self.hand
    }

    fn ordered_hands(&self) -> Option<u64> {
        (self.queues - self.hand + 1..=self.queues).try_fold(1_u64, |hands, left| hands.checked_mul(u64::from(left)))
    }

    /// The queues that `hash` is dealt, in ascending order, into `hand`.
    ///
    /// The hash is read as a number whose digits have ever smaller bases: the first tells which of all queues, the next
    /// which of those that are left, and so on, so that all hands are equally likely.
    pub fn deal(&self, hash: u64, hand: &mut Vec<u32>) {
        hand.clear();
        let mut rest = hash;
        for left in (self.queues - self.hand + 1..=self.queues).rev() {
            let left = u64::from(left);
            take_nth_left((rest % left) as u32, hand);
            rest /= left;
        }
    }

    /// The probability that every queue of a mouse is also in some elephant's hand, calculated.
    pub fn squashed(&self, elephants: u32) -> f64 {
        let mut union = vec![0.0; self.queues as usize + 1];
        union[0] = 1.0;
        (0..elephants).for_each(|_| union = self.with_one_more(&union));
        (0_u32..).zip(&union).map(|(taken, probability)| probability * self.within(taken)).sum()
    }

    /// From the probabilities of how many queues are in some elephant's hand to those with one elephant more.
    fn with_one_more(&self, union: &[f64]) -> Vec<f64> {
        let mut more = vec![0.0; union.len()];
        for (taken, &probability) in (0_u32..).zip(union).filter(|(_, probability)| **probability > 0.0) {
            for new in 0..=self.hand.min(self.queues - taken) {
                let ways = choose(self.queues - taken, new) * choose(taken, self.hand - new);
                more[(taken + new) as usize] += probability * ways / choose(self.queues, self.hand);
            }
        }
        more
    }

    /// The probability that a hand lies within so many given queues.
    fn within(&self, taken: u32) -> f64 {
        choose(taken, self.hand) / choose(self.queues, self.hand)
    }

    /// The same as [`squashed`](Self::squashed), as the part of so many trials in which it happened.
    pub fn squashed_in_trials(&self, elephants: u32, trials: u32, seed: u64) -> f64 {
        let mut random = Random::nth(seed, u64::from(elephants));
        let mut hand = Vec::with_capacity(self.hand as usize);
        // In which trial an elephant had it last: nothing need be wiped between two trials.
        let mut trodden = vec![0; self.queues as usize];
        let mut squashed = 0_u32;
        for trial in 1..=trials {
            for _ in 0..elephants {
                self.deal(random.next_u64(), &mut hand);
                hand.iter().for_each(|&queue| trodden[queue as usize] = trial);
            }
            self.deal(random.next_u64(), &mut hand);
            squashed += u32::from(hand.iter().all(|&queue| trodden[queue as usize] == trial));
        }
        f64::from(squashed) / f64::from(trials)
    }
}

/// Adds to a hand the nth of those that are not in it.
fn take_nth_left(nth: u32, hand: &mut Vec<u32>) {
    let mut queue = nth;
    let mut place = 0;
    while hand.get(place).is_some_and(|&held| held <= queue) {
        queue += 1;
        place += 1;
    }
    hand.insert(place, queue);
}

/// How many ways there are to choose `chosen` of `all`.
fn choose(all: u32, chosen: u32) -> f64 {
    if chosen > all {
        return 0.0;
    }
    (0..chosen).fold(1.0, |ways, done| ways * f64::from(all - done) / f64::from(done + 1))
}

/// With no more ordered hands than this, none is dealt more often than another by a sixteenth: 2^64 hashes are sixteen
/// times as many. Kubernetes draws the line there too.
const MOST_HANDS: u64 = 1 << 60;

/// Hand, queues, and the published probabilities by [`ELEPHANTS`].
const PUBLISHED: [(u32, u32, [f64; 3]); 11] = [
    (12, 32, [4.428838398950118e-09, 0.11431348830099144, 0.9935089607656024]),
    (10, 32, [1.550093439632541e-08, 0.0626479840223545, 0.9753101519027554]),
    (10, 64, [6.601827268370426e-12, 0.00045571320990370776, 0.49999929150089345]),
    (9, 64, [3.6310049976037345e-11, 0.00045501212304112273, 0.4282314876454858]),
    (8, 64, [2.25929199850899e-10, 0.0004886697053040446, 0.35935114681123076]),
    (8, 128, [6.994461389026097e-13, 3.4055790161620863e-06, 0.02746173137155063]),
    (7, 128, [1.0579122850901972e-11, 6.960839379258192e-06, 0.02406157386340147]),
    (7, 256, [7.597695465552631e-14, 6.728547142019406e-08, 0.0006709661542533682]),
    (6, 256, [2.7134626662687968e-12, 2.9516464018476436e-07, 0.0008895654642000348]),
    (6, 512, [4.116062922897309e-14, 4.982983350480894e-09, 2.26025764343413e-05]),
    (6, 1024, [6.337324016514285e-16, 8.09060164312957e-11, 4.517408062903668e-07]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn dealer(queues: u32, hand: u32) -> Dealer {
        Dealer::new(queues, hand).expect("a dealer")
    }

    #[test]
    fn the_calculation_reproduces_the_published_table() {
        for row in table(1, 1) {
            for (calculated, published) in row.calculated.into_iter().zip(row.published) {
                assert!((calculated / published - 1.0).abs() < 1e-12, "{:?}: {calculated}, {published}", row.dealer);
            }
        }
    }

    #[test]
    fn trials_agree_with_the_calculation_within_four_standard_errors() {
        let trials = 30_000;
        let mut compared = 0;
        for row in table(trials, 7) {
            for (calculated, counted) in row.calculated.into_iter().zip(row.counted) {
                if calculated > 1e-3 {
                    compared += 1;
                    let error = (calculated * (1.0 - calculated) / f64::from(trials)).sqrt();
                    assert!((counted - calculated).abs() < 4.0 * error, "{:?}: {counted}, {calculated}", row.dealer);
                }
            }
        }
        assert_eq!(compared, 9);
    }

    #[test]
    fn a_hand_has_so_many_different_queues_in_ascending_order() {
        let dealer = dealer(64, 8);
        let mut random = Random::new(3);
        let mut hand = Vec::new();
        for _ in 0..1_000 {
            dealer.deal(random.next_u64(), &mut hand);
            assert_eq!(hand.len(), 8);
            assert!(hand.is_sorted_by(|one, next| one < next) && hand[7] < 64, "{hand:?}");
        }
    }

    #[test]
    fn each_hand_is_dealt_equally_often() {
        let dealer = dealer(5, 3);
        let mut hand = Vec::new();
        let mut dealt = std::collections::BTreeMap::new();
        for hash in 0..60 {
            dealer.deal(hash, &mut hand);
            *dealt.entry(hand.clone()).or_insert(0) += 1;
        }
        assert_eq!(dealt.len(), 10);
        assert!(dealt.values().all(|&times| times == 6), "{dealt:?}");
    }

    #[test]
    fn the_extremes_are_certain() {
        assert_eq!(dealer(64, 8).squashed(0), 0.0);
        assert_eq!(dealer(4, 4).squashed(1), 1.0);
        assert!((dealer(64, 8).squashed(1) * 4_426_165_368.0 - 1.0).abs() < 1e-12, "one of all hands");
    }

    #[test]
    fn what_cannot_be_dealt_evenly_is_said() {
        assert!(Dealer::new(1_024, 6).is_ok());
        assert_eq!(Dealer::new(8, 9), Err("a hand has from 1 to all of 8 queues, not 9".to_owned()));
        assert_eq!(Dealer::new(8, 0), Err("a hand has from 1 to all of 8 queues, not 0".to_owned()));
        let error = Dealer::new(1_024, 8).expect_err("80 bits");
        assert!(error.starts_with("a hash is too short to deal 8 of 1024 queues evenly"), "{error}");
    }
}
