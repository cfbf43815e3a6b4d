//! The places a product can be served at: each a pool of its own, with a limit of its own and a share of the requests.
//!
//! A customer has a *home*: the site that a stable hash gives them, so that at rest each site serves the same customers
//! as yesterday and its caches are warm. A share that moves takes only its own slice of the customers along. But a home
//! is a preference and no promise: there is one line, whoever is first in it is not to wait for one full site while
//! another has a free seat, and then goes where the share lags farthest behind. So every site must be able to serve
//! everybody.
//!
//! A site that is being warmed is *bounded*: it never gets more than its share of what is let through, a short burst
//! apart, as its own limit has yet to be found. Nor does it get less while it has room: a step that is watched is to
//! show something. The others are not: what one cannot take the next may, each within the limit found for it, or the
//! slowest site would set the pace for all.
//!
//! The share of a site that is gone falls to the others. A site without a share gets nothing unless all others are
//! gone.

use super::Customer;
use super::random::mix;
use super::settings::SiteSettings;
use super::shift::Watch;

/// One of a product's sites.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// Its pool, among the domain's resources.
    pub(crate) resource: usize,
    /// Of what is let through, in per cent.
    pub(crate) share: u32,
    /// Whether the share is the most it may have, as well.
    pub(crate) bounded: bool,
    /// What it is behind its share, in hundredths of a seat; at most [`BURST`].
    lag: i64,
    /// None of its backends is there.
    pub(crate) gone: bool,
    /// Somebody was sent elsewhere for want of a seat here, since one came back.
    pub(crate) passed_over: bool,
    /// What it did lately, for who watches a shift.
    pub(crate) watch: Watch,
}

/// A product's sites, and whose home each is.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    pub(crate) all: Vec<Site>,
    /// The home of each hundredth of the customers.
    homes: [u8; PER_CENT],
    /// Serves as what the others have not room for, although it may have no share any more.
    pub(crate) giving: Option<usize>,
    /// Which sites the last shift was from and to, and what was before it: shares, and whether they were bounds.
    before: Option<((usize, usize), Shares)>,
}

/// Shares in per cent, each with whether it is a bound.
type Shares = Vec<(u32, bool)>;

/// So much may be made up for at once.
const BURST: i64 = 16 * ONE;
/// A seat, in hundredths.
const ONE: i64 = PER_CENT as i64;
const PER_CENT: usize = 100;
/// So often another home is drawn for whoever has lost theirs.
const DRAWS: u32 = 8;

impl Sites {
    /// These sites, nothing of which is bounded. `None` when there are none.
    pub(crate) fn of(settings: &[SiteSettings]) -> Option<Sites> {
        if settings.is_empty() {
            return None;
        }
        let site = |site: &SiteSettings| Site {
            resource: site.resource,
            share: site.share,
            bounded: false,
            lag: 0,
            gone: false,
            passed_over: false,
            watch: Watch::default(),
        };
        let mut sites =
            Sites { all: settings.iter().map(site).collect(), homes: [0; PER_CENT], giving: None, before: None };
        sites.settle_homes();
        Some(sites)
    }

    /// Homes side by side, as the shares are.
    fn settle_homes(&mut self) {
        let homes = self.all.iter().enumerate().flat_map(|(site, one)| (0..one.share).map(move |_| site as u8));
        for (slot, home) in self.homes.iter_mut().zip(homes) {
            *slot = home;
        }
    }

    /// The shares a journal tells, each with whether it is a bound; false, and nothing has changed, when they are not
    /// the shares of these sites.
    pub(crate) fn restore(&mut self, shares: &[(u32, bool)]) -> bool {
        let sum: u64 = shares.iter().map(|(share, _)| u64::from(*share)).sum();
        if shares.len() != self.all.len() || sum != PER_CENT as u64 {
            return false;
        }
        for (site, (share, bounded)) in self.all.iter_mut().zip(shares) {
            (site.share, site.bounded, site.lag) = (*share, *bounded, 0);
        }
        self.settle_homes();
        true
    }

    /// Give `to` such a share that it and `from` have together what they had; only the slice that moves finds a new home.
    pub(crate) fn give(&mut self, from: usize, to: usize, share: u32) {
        let both = self.all[from].share + self.all[to].share;
        let share = share.min(both);
        let (giver, taker, moved) = match share.checked_sub(self.all[to].share) {
            Some(moved) => (from, to, moved),
            None => (to, from, self.all[to].share - share),
        };
        // From the side that lies towards the other, so that what went comes back.
        let slots: Vec<usize> = (0..PER_CENT).filter(|slot| usize::from(self.homes[*slot]) == giver).collect();
        let moved = moved as usize;
        let slice = if taker > giver { &slots[slots.len() - moved..] } else { &slots[..moved] };
        slice.iter().for_each(|slot| self.homes[*slot] = taker as u8);
        self.all[to].share = share;
        self.all[from].share = both - share;
        self.all.iter_mut().for_each(|site| site.lag = 0);
    }

    /// Where `customer` is at home, or would be if sites that are gone had no share. `None` when all are gone.
    pub(crate) fn home(&self, customer: Customer) -> Option<usize> {
        let mut drawn = customer.spread();
        for _ in 0..DRAWS {
            let home = usize::from(self.homes[(drawn % PER_CENT as u64) as usize]);
            if !self.all[home].gone {
                return Some(home);
            }
            drawn = mix(drawn);
        }
        self.all.iter().position(|site| !site.gone)
    }

    /// What the shares of those who are there add up to.
    fn sum(&self) -> u32 {
        self.all.iter().filter(|site| !site.gone).map(|site| site.share).sum()
    }

    /// Whether a site may have the next seat, if it has one.
    pub(crate) fn may(&self, index: usize) -> bool {
        let (site, sum) = (&self.all[index], self.sum());
        self.plays(index, sum) && (!site.bounded || site.share == sum || site.lag > 0 || !self.has_unbounded(sum))
    }

    /// Whether it has a part in what is served, when those who are there have so much.
    fn plays(&self, index: usize, sum: u32) -> bool {
        let site = &self.all[index];
        !site.gone && (site.share > 0 || sum == 0 || self.giving == Some(index))
    }

    /// Whether there is a site that serves what bounded ones may not. Where there is none, bounds would bound everybody: lags
    /// move only with seats that are given.
    fn has_unbounded(&self, sum: u32) -> bool {
        (0..self.all.len()).any(|index| !self.all[index].bounded && self.plays(index, sum))
    }

    /// Whether the next seat of this pool may be one of these sites'.
    pub(crate) fn may_use(&self, resource: usize) -> bool {
        self.with_pool(resource).is_some_and(|site| self.may(site))
    }

    /// Of the sites that `have` a seat and may use it: the customer's home, or the one most behind its share.
    pub(crate) fn choose(&self, home: Option<usize>, have: impl Fn(&Site) -> bool) -> Option<usize> {
        let can = |index: &usize| self.may(*index) && have(&self.all[*index]);
        // A step that is watched is to bring what it says, however few the customers are who have half of the traffic.
        let owed = |index: &usize| self.all[*index].bounded && self.all[*index].lag >= BURST;
        if let Some(site) = (0..self.all.len()).find(|index| owed(index) && can(index)) {
            return Some(site);
        }
        if let Some(home) = home.filter(can) {
            return Some(home);
        }
        // Of several the first that is most behind.
        (0..self.all.len()).filter(can).max_by_key(|index| (self.all[*index].lag, std::cmp::Reverse(*index)))
    }

    /// So many seats were taken at `taken` by somebody at `home`; `full` tells of a site whether it had no seat for them.
    pub(crate) fn count(&mut self, taken: usize, home: Option<usize>, seats: u32, full: impl Fn(&Site) -> bool) {
        let sum = i64::from(self.sum());
        let seats = i64::from(seats);
        for (index, site) in self.all.iter_mut().enumerate() {
            let had_room = index == taken || !full(site);
            let due = if sum == 0 || site.gone { 0 } else { i64::from(site.share) * seats * ONE / sum };
            let used = if index == taken { seats * ONE } else { 0 };
            let lag = site.lag + due - used;
            let lost = lag - BURST;
            site.watch.counted(due, if had_room { 0 } else { lost.max(0) });
            site.passed_over |= !had_room && (home == Some(index) || lost > 0);
            site.lag = lag.clamp(-BURST, BURST);
        }
    }

    /// Count from nothing what each does.
    pub(crate) fn watch_anew(&mut self) {
        self.all.iter_mut().for_each(|site| site.watch = Watch::default());
    }

    /// A shift begins: this is what it can be taken back to.
    pub(crate) fn remember(&mut self, from: usize, to: usize) {
        self.before = Some(((from, to), self.all.iter().map(|site| (site.share, site.bounded)).collect()));
    }

    /// As it was before the last shift: which sites that was from and to, and what share the latter had until now.
    pub(crate) fn go_back(&mut self) -> Option<((usize, usize), u32)> {
        let (pair, before) = self.before.take()?;
        let had = self.all[pair.1].share;
        self.restore(&before);
        self.giving = None;
        Some((pair, had))
    }

    /// Those that have a part in what is served, while they are there.
    pub(crate) fn in_play(&self) -> impl Iterator<Item = &Site> {
        let sum = self.sum();
        self.all.iter().enumerate().filter(move |(index, _)| self.plays(*index, sum)).map(|(_, site)| site)
    }

    /// Those that may have the next seat.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &Site> {
        self.all.iter().enumerate().filter(|(index, _)| self.may(*index)).map(|(_, site)| site)
    }

    /// The site with this pool.
    pub(crate) fn with_pool(&self, resource: usize) -> Option<usize> {
        self.all.iter().position(|site| site.resource == resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sites(shares: &[u32]) -> Sites {
        let one = |(resource, share): (usize, &u32)| SiteSettings { resource, share: *share };
        Sites::of(&shares.iter().enumerate().map(one).collect::<Vec<_>>()).expect("there are some")
    }

    const ALWAYS: fn(&Site) -> bool = |_| true;

    fn homes(sites: &Sites) -> Vec<Option<usize>> {
        (0..5000).map(|key| sites.home(Customer::Account(key))).collect()
    }

    #[test]
    fn only_the_slice_that_moves_finds_a_new_home_and_it_comes_back() {
        let mut sites = sites(&[60, 30, 10]);
        let before = homes(&sites);
        sites.give(0, 2, 25);
        let after = homes(&sites);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        assert!(moved.clone().all(|(before, after)| (*before, *after) == (Some(0), Some(2))));
        let moved = moved.count();
        assert!((650..850).contains(&moved), "{moved} of 5000 are not 15 in a hundred");
        sites.give(0, 2, 10);
        assert_eq!(homes(&sites), before);
    }

    #[test]
    fn a_bounded_site_never_gets_more_than_its_share_a_burst_apart() {
        let mut sites = sites(&[95, 5]);
        sites.all[1].bounded = true;
        let mut got = 0u32;
        for nth in 1..=10_000u32 {
            // Everybody's home is the one that is warmed, and it has always room.
            let chosen = sites.choose(Some(1), ALWAYS).expect("there is room");
            sites.count(chosen, Some(1), 1, |_| false);
            got += u32::from(chosen == 1);
            assert!(got * 100 <= nth * 5 + 1700, "{got} of {nth}");
        }
        assert!((495..=517).contains(&got), "{got}");
    }

    #[test]
    fn a_site_that_is_warmed_gets_its_share_though_all_that_comes_is_of_one_customer() {
        let mut sites = sites(&[80, 20]);
        sites.all[1].bounded = true;
        let mut got = 0;
        for _ in 0..1000 {
            let chosen = sites.choose(Some(0), ALWAYS).expect("there is room");
            sites.count(chosen, Some(0), 1, |_| false);
            got += usize::from(chosen == 1);
        }
        assert!((180..=200).contains(&got), "{got}");
    }

    #[test]
    fn who_is_not_at_home_goes_where_the_share_lags() {
        let mut sites = sites(&[70, 30]);
        let mut got = [0; 2];
        for _ in 0..1000 {
            let chosen = sites.choose(None, ALWAYS).expect("there is room");
            sites.count(chosen, None, 1, |_| false);
            got[chosen] += 1;
        }
        assert_eq!(got, [700, 300]);
    }

    #[test]
    fn what_one_cannot_take_the_other_may_unless_it_is_bounded() {
        let mut sites = sites(&[50, 50]);
        let full = |site: &Site| site.resource == 0;
        for _ in 0..100 {
            assert_eq!(sites.choose(Some(0), |site| !full(site)), Some(1));
            sites.count(1, Some(0), 1, full);
        }
        assert!(sites.all[0].passed_over && !sites.all[1].passed_over);
        sites.all[1].bounded = true;
        assert_eq!(sites.choose(Some(0), |site| !full(site)), None);
        // Once it is gone it has no share, and the other has all of it.
        sites.all[0].gone = true;
        assert_eq!(sites.choose(Some(0), |site| !full(site)), Some(1));
    }

    #[test]
    fn where_only_bounded_sites_are_there_each_serves_what_it_can() {
        let mut sites = sites(&[60, 20, 20]);
        (sites.all[1].bounded, sites.all[2].bounded) = (true, true);
        sites.all[0].gone = true;
        let mut got = [0; 3];
        for key in 0..1000 {
            let home = sites.home(Customer::Account(key));
            let chosen = sites.choose(home, ALWAYS).expect("both have room");
            sites.count(chosen, home, 1, |_| false);
            got[chosen] += 1;
        }
        assert!(got[0] == 0 && got[1..].iter().all(|seats| *seats > 400), "{got:?}");
        sites.all[0].gone = false;
        sites.count(0, None, 1, |_| false);
        assert!(sites.may(0), "and once there is another they are bounded again");
        sites.all[1].lag = -1;
        assert!(!sites.may(1));
    }

    #[test]
    fn whoever_lost_their_home_has_a_stable_other_one() {
        let mut sites = sites(&[40, 30, 30]);
        let before = homes(&sites);
        sites.all[0].gone = true;
        let after = homes(&sites);
        assert!(before.iter().zip(&after).all(|(before, after)| *before == Some(0) || before == after));
        assert!(after.iter().all(|home| *home == Some(1) || *home == Some(2)));
        sites.all[0].gone = false;
        assert_eq!(homes(&sites), before);
    }

    #[test]
    fn a_site_without_a_share_serves_when_all_others_are_gone() {
        let mut sites = sites(&[100, 0]);
        assert!(!sites.may(1));
        sites.all[0].gone = true;
        assert!(sites.may(1));
        assert_eq!(sites.home(Customer::Account(3)), Some(1));
        sites.all[1].gone = true;
        assert_eq!(sites.home(Customer::Account(3)), None);
    }
}
