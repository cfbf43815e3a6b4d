//! The promises, each said once more in other words.

use super::super::super::super::rank::Rank;
use super::journeys::Asked;
use super::model::Model;
use super::*;

impl Model {
    /// Why `arrival` may not wait now, from what operators and signals said.
    pub(super) fn forbidden(&self, arrival: &Arrival) -> Option<Refusal> {
        let goes_down = self.shutting_down && !self.observe_only && !self.bypass;
        if goes_down { Some(Refusal::ShuttingDown) } else { self.forbidden_at_once(arrival) }
    }

    /// Why it may not reach a backend now, if it need not wait.
    fn forbidden_at_once(&self, arrival: &Arrival) -> Option<Refusal> {
        if self.bypass {
            return None;
        }
        if !matches!(arrival.class, Class::Protected | Class::Settle) {
            match self.shut[arrival.product.index()] {
                Some(ParkReason::Parked) => return Some(Refusal::Parked),
                Some(ParkReason::Closed) => return Some(Refusal::Closed),
                None if self.is_down(arrival.product.index()) => return Some(Refusal::NoBackend),
                None => {}
            }
        }
        if arrival.class != Class::Commit {
            return None;
        }
        let entry = self.events.get(&arrival.event?)?;
        if entry.state == EventState::Closed {
            Some(Refusal::EventClosed)
        } else if self.now >= entry.stop {
            Some(Refusal::PastBettingStop)
        } else if entry.state == EventState::Parked {
            Some(Refusal::EventParked)
        } else {
            let answered = self.now + self.takes[arrival.product.index()];
            (answered > entry.stop).then_some(Refusal::StopTooNear)
        }
    }

    /// Whether everything that `arrival` needs is free.
    pub(super) fn could_start(&self, domain: &Domain, arrival: &Arrival) -> bool {
        if self.bypass || self.takes_reserve(arrival) {
            return true;
        }
        let (product, class) = (arrival.product.index(), arrival.class);
        let ramp = domain.product(ProductId(product as u16)).ramp_seats().unwrap_or(u32::MAX);
        let free = |need: usize| self.in_use(need) < domain.resources()[need].limit();
        self.shut[product].is_none()
            && !self.is_down(product)
            && self.in_flight[product] < ramp
            && self.needs(product, class).into_iter().all(free)
    }

    /// Whether somebody waits in a line who could start.
    fn somebody_could(&self, domain: &Domain, product: usize, rank: Rank) -> bool {
        let mut line = self.in_line(product, rank);
        line.next().is_some_and(|front| self.could_start(domain, front)) || self.passer(product, rank).is_some()
    }

    /// Where one more seat would take `product` above its guarantee.
    fn borrows(&self, domain: &Domain, product: usize, class: Class) -> Vec<usize> {
        let uses = |other: usize, resource: usize| {
            self.settings.products[other].needs.iter().any(|needs| needs.iter().any(|need| need == resource))
        };
        let above = |need: &usize| {
            let shared = (0..self.settings.products.len()).filter(|other| uses(*other, *need)).count() > 1;
            let guarantee = u64::from(self.settings.products[product].guarantee.max(1));
            let owed = guarantee * u64::from(domain.resources()[*need].limit());
            shared && u64::from(self.taken[*need][product] + 1) * 100 > owed
        };
        self.needs(product, class).into_iter().filter(above).collect()
    }

    /// Somebody starts now; `from_line` says whether they waited for it. Called before the seat is counted.
    pub(super) fn may_start(&mut self, domain: &Domain, arrival: &Arrival, rank: Rank, from_line: bool) {
        let product = arrival.product.index();
        let forbidden = if from_line { self.forbidden(arrival) } else { self.forbidden_at_once(arrival) };
        assert_eq!(forbidden, None, "{arrival:?} starts though it is forbidden");
        assert!(self.could_start(domain, arrival), "{arrival:?} starts without all that it needs");
        if self.bypass && !from_line {
            self.seen.bypassed += 1;
            return;
        }
        self.seen.passers += u64::from(from_line && self.passer(product, rank).is_some());
        for above in Rank::ALL {
            let waits = !self.lines[product][above.index()].is_empty();
            if waits && above < rank {
                assert!(!self.somebody_could(domain, product, above), "{rank:?} overtakes {above:?}");
                self.seen.passed_over += 1;
            }
        }
        self.check_guarantees(domain, arrival);
    }

    /// Nobody borrows what somebody is owed: whoever would be next in another product, needs the same thing and would
    /// stay within the guarantee with everything taken.
    fn check_guarantees(&mut self, domain: &Domain, arrival: &Arrival) {
        if self.takes_reserve(arrival) {
            return;
        }
        let (product, class) = (arrival.product.index(), arrival.class);
        let borrowed = self.borrows(domain, product, class);
        for other in (0..self.settings.products.len()).filter(|other| *other != product) {
            let could = |rank: &Rank| self.somebody_could(domain, other, *rank);
            let Some(next) = Rank::ALL.into_iter().find(could).map(Rank::class) else { continue };
            let owed = self.borrows(domain, other, next).is_empty();
            let contends = self.needs(other, next).iter().any(|need| borrowed.contains(need));
            assert!(!owed || !contends, "{product} borrows while {other} waits with {next:?} for what it is owed");
            self.seen.before_a_borrower += u64::from(borrowed.is_empty() && !owed);
        }
    }

    /// `arrival` was refused at the door.
    pub(super) fn may_refuse(&mut self, domain: &Domain, arrival: &Arrival, asked: Asked, said: (&Refused, bool)) {
        let (refused, put_off) = said;
        let (refusal, rank) = (refused.refusal, asked.rank);
        let kept = self.is_sent_away(arrival, rank, refused);
        self.seen.refused[refusal.index()] += 1;
        let (product, class) = (arrival.product.index(), arrival.class);
        let line = self.lines[product][rank.index()].len();
        let near = line < 16 && self.in_line(product, rank).all(|before| self.has_enough(before));
        let first = line == 0 || near && self.takes_reserve(arrival);
        let at_once = first && !put_off && self.could_start(domain, arrival);
        let forbidden = self.forbidden_at_once(arrival);
        assert!(forbidden.is_none() || forbidden == Some(refusal), "{refusal:?}, and not {forbidden:?}");
        match refusal {
            Refusal::OverCustomerShare => {
                let most = match arrival.customer {
                    Customer::Account(_) => self.settings.at_once_per_customer,
                    Customer::Address(_) => self.settings.at_once_per_address,
                    Customer::Machine(index) => self.settings.machines[usize::from(index)],
                };
                // A machine's bound holds whether others wait or not.
                let bound = matches!(arrival.customer, Customer::Machine(_));
                let too_many = self.count(arrival.customer) >= most.get() || self.has_its_part(domain, arrival);
                assert!((bound || !at_once) && too_many);
            }
            Refusal::QueueFull | Refusal::NotYourTurn => {
                assert_eq!(kept, refusal == Refusal::NotYourTurn, "{arrival:?} as {asked:?}");
                let last = self.lines[product][rank.index()].back().map(|place| self.waiting[place].asked.turn);
                assert!(last.is_none_or(|last| last <= asked.turn), "before others who wait");
                let seats = self.needs(product, class).into_iter().map(|need| domain.resources()[need].limit()).min();
                let first = if rank.is_newcomers() { Rank::NearStop } else { rank };
                let ranks = Rank::ALL.into_iter().filter(|other| (first..=rank).contains(other));
                let before = ranks.map(|rank| self.lines[product][rank.index()].len()).sum::<usize>();
                let long = before >= 2 * seats.unwrap_or(1) as usize;
                let lower = Rank::ALL.into_iter().filter(|lower| *lower > rank);
                let lowest = lower.map(|lower| self.lines[product][lower.index()].len()).sum::<usize>() == 0;
                let full = self.waiters(product) >= self.settings.products[product].queue.length.get();
                let newest_first = self.is_newest_first(product, rank);
                assert!(!at_once && !newest_first && (long || full && lowest), "no reason to call the queue full");
            }
            Refusal::ShuttingDown => {
                assert!(self.shutting_down && !self.observe_only && !at_once, "it could have been served");
            }
            other => assert_eq!(forbidden, Some(other)),
        }
    }

    /// Who waited is told no. `arriving` is who came just now.
    pub(super) fn may_turn_away(&mut self, place: Place, refused: &Refused, arriving: Option<(&Arrival, Asked)>) {
        let refusal = refused.refusal;
        self.seen.refused[refusal.index()] += 1;
        let waiting = self.waiting.get(&place).copied().unwrap_or_else(|| panic!("nobody waits at {place:?}"));
        let kept = self.is_sent_away(&waiting.arrival, waiting.asked.rank, refused);
        let named = kept == (refusal == Refusal::NotYourTurn);
        let lines = &self.lines[waiting.arrival.product.index()];
        match refusal {
            Refusal::WaitedTooLong => {
                assert!(named && self.now >= waiting.until, "told too early, or not of their turn")
            }
            Refusal::NotYourTurn if self.now >= waiting.until => assert!(named, "no turn is kept"),
            Refusal::QueueFull | Refusal::NotYourTurn => {
                assert!(named);
                let (newcomer, asked) = arriving.expect("only a newcomer takes somebody's place");
                let (product, rank) = (waiting.arrival.product, waiting.asked.rank);
                let before = self.is_newest_first(product.index(), rank) || asked.turn < waiting.asked.turn;
                let alike = asked.rank == rank && before;
                assert!(newcomer.product == product && (asked.rank < rank || alike));
                assert_eq!(self.ends(product.index(), rank).1, Some(place), "not who would have the last turn");
                let lower = &lines[rank.index() + 1..];
                assert!(alike || lower.iter().all(|line| line.is_empty()), "not the lowest");
                self.seen.displaced += 1;
            }
            other => assert_eq!(self.forbidden(&waiting.arrival), Some(other)),
        }
    }

    /// Everything that must hold between two calls.
    pub(super) fn check(&self, domain: &Domain) {
        for (index, resource) in domain.resources().iter().enumerate() {
            assert_eq!(resource.in_use(), self.in_use(index), "seats of resource {index}");
        }
        for product in 0..self.settings.products.len() {
            let seen = domain.product(ProductId(product as u16));
            assert_eq!(seen.in_flight(), self.in_flight[product]);
            assert_eq!(seen.reserve_in_use(), self.reserve_in_use(product));
            assert!(seen.reserve_in_use() <= self.settings.products[product].reserve.get());
            assert_eq!(seen.state(), self.states[product], "every move is noted");
            assert_eq!(seen.state().shut(), self.shut[product]);
            let down = self.shut[product].is_none() && self.is_down(product);
            assert_eq!(seen.state() == State::Down, down);
            assert!(self.waiters(product) <= self.settings.products[product].queue.length.get());
            for rank in Rank::ALL {
                assert_eq!(seen.waiting_as(rank) as usize, self.lines[product][rank.index()].len(), "{rank:?}");
            }
        }
        let first = self.waiting.values().map(|waiting| waiting.until).min();
        assert!(first.is_none() || domain.next_wake() <= first && domain.next_wake().is_some(), "an expiry is missed");
    }

    /// What must hold once the driver has been woken as often as it asked.
    pub(super) fn check_at_rest(&self, domain: &Domain) {
        assert!(self.waiting.values().all(|waiting| waiting.until > self.now), "somebody waits too long");
        for product in 0..self.settings.products.len() {
            for rank in Rank::ALL.into_iter().filter(|rank| !self.lines[product][rank.index()].is_empty()) {
                assert!(!self.somebody_could(domain, product, rank), "{product} {rank:?} waits for nothing");
            }
        }
    }
}
