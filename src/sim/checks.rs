//! Independent checks of every step of Sluss's admission.
//!
//! [`Watched`] stands around a law as a witness: it sees every call and everything that is said back, keeps books of its
//! own, and compares. It was written from what is promised (`docs/flow-control.md`, `docs/refusals.md` and the public
//! words of [`admission`](crate::admission)), not from the code that keeps the promises, and asks the law for
//! no figure that it could count by itself. What it takes on trust is what cannot be known from outside: the limits as
//! they are found, the knee, the ramp's ceiling, how long a bet takes, and what there is no room to keep; and of these the
//! ceiling and the time of a bet are held against bounds of their own.
//!
//! In observe-only the law decides as ever, and what it decides counts for nothing: so it is checked as ever.
//! [`Observing`](super::law::Observing) stands outside, and the witness sees what would have been.
//!
//! | promise | checked |
//! |---|---|
//! | `limit` | nobody is let through who lacks anything; all that is needed is taken, or nothing |
//! | `once` | who asks is told one word, and who waits one more thing at most |
//! | `seats`, `waiters` | the law counts what was taken and given back, and who waits: a leak shows at once |
//! | `longest wait`, `wake` | nobody waits longer than the product allows, to the nanosecond; the law asks to be woken for it |
//! | `work conservation` | nobody waits while all they need is free, unless it is not lent to them |
//! | `higher rank first`, `oldest first`, `newest first` | within a product, within a line |
//! | `lowest turn first`, `earliest stop first` | among those who hold no pass, and of bets near their stops |
//! | `line` | who holds a pass, who does not, and who bets near a stop stands in the line that is due; an address holds none |
//! | `turns` | a turn is kept until a while after the time that was told, whatever no is heard meanwhile |
//! | `in time` | no bet waits that could not be answered before its stop, and how long that takes is no fancy |
//! | `kept seats` | what is partly there for whoever needs several is not taken by who comes after them |
//! | `floor` | the lowest classes go before others only for what they are owed, and are given it |
//! | `guarantee` | nobody borrows while somebody waits for what they are owed |
//! | `trust` | who borrows has given back in time what it borrowed before, one seat apart |
//! | `share` | who is hungry for long holds its max-min share |
//! | `state`, `forbidden` | what is shut, down, closed, after its stop or too near to it, does not pass |
//! | `hint` | what backends say of a budget is its limit while it is fresh, and the least of it where they do not agree |
//! | `backends` | the limit and the knee follow the backends that are there |
//! | `ramp` | the ceiling binds, grows no faster than promised, and is not left early |
//! | `frozen` | a ramp that keeps stepping back stops growing |
//! | `refusal`, `retry-after` | a no has the name that is due, and a time within the bounds and before the stop of a bet |
//! | `reserve` | no customer has more of a reserve than one may, and who has holds up nobody behind them |
//! | `customer share`, `length` | nobody fills a queue alone, or beyond its length |
//!
//! Each of them has a test with a law that lies in just that.

mod shown;
mod report;
mod line;
mod books;
mod passes;
mod stops;
mod life;
mod hints;
mod ramp;
mod door;
mod turns;
mod reserve;
mod kept;
mod floor;
mod filling;
mod shares;
mod trust;
mod rest;
mod sites;

use std::collections::VecDeque;
use std::time::Duration;

pub use passes::Kept;
pub use shown::{Shown, ShownProduct, ShownResource, Transparent};
pub use sites::WatchedSites;

use super::law::{Knock, Law, Look, Notice, Ours, RequestId, Said, Word};
use crate::admission::{Arrival, Class, Order, Outcome, Settings, Timestamp};
use books::{Books, Newcomer, Stage};
use hints::Heard;
use life::Life;
use passes::Passes;
use report::{Doing, Report};
use rest::Wakes;
use shares::Shares;
use trust::Trust;

/// A law under watch. What it did wrong is in [`Law::violations`].
pub struct Watched<L = Ours> {
    law: L,
    house: House,
    said: VecDeque<Said>,
}

/// The witness: own books, and what was seen.
struct House {
    settings: Settings,
    /// By product and class, so that nothing is allocated on the way.
    needs: Vec<[Vec<usize>; Class::COUNT]>,
    shared: Vec<bool>,
    shown: Shown,
    books: Books,
    life: Life,
    /// By product, where customers in the middle of a journey go before others.
    passes: Vec<Option<Passes>>,
    /// What the law keeps for whoever is spoken of, where that cannot be known.
    kept: Option<Kept>,
    /// By product: the quickest and the slowest bet that was answered.
    bets: Vec<Option<(Duration, Duration)>>,
    /// By resource.
    hints: Vec<Heard>,
    shares: Shares,
    trust: Trust,
    wakes: Wakes,
    report: Report,
}

impl<L: Transparent> Watched<L> {
    /// Watch `law`, which decides by `settings`; from its first call on.
    pub fn new(law: L, settings: Settings) -> Watched<L> {
        let mut house = House::new(settings);
        law.show(&mut house.shown);
        Watched { law, house, said: VecDeque::new() }
    }

    fn begins(&mut self, doing: Doing, now: Timestamp) {
        self.house.begins(doing, now);
    }

    /// Take everything that the law has to say after a call. False when it is nothing.
    fn hears(&mut self, newcomer: Option<&Newcomer>) -> bool {
        self.law.show(&mut self.house.shown);
        let mut any = false;
        while let Some(said) = self.law.poll() {
            any = true;
            let (Said::Pass(request) | Said::Refuse(request, _)) = said;
            if let Stage::Waits(stay) = self.house.books.stage(request) {
                self.looks_up(&stay.arrival);
            }
            if self.house.said(said, newcomer) {
                self.said.push_back(said);
            }
        }
        any
    }

    /// What the law keeps for somebody, where the witness cannot know whether it had room for it.
    fn looks_up(&mut self, arrival: &Arrival) {
        let product = arrival.product.index();
        let unsure = self.house.may_have_no_room(product);
        self.house.kept = unsure.then(|| self.law.kept(product, arrival.customer));
    }

    fn ends(&mut self) {
        self.house.ends(self.law.next_wake());
    }

    /// A call that is not an arrival: only those who wait may be told something.
    fn calls(&mut self, doing: Doing, now: Timestamp, call: impl FnOnce(&mut L, &mut House)) {
        self.begins(doing, now);
        call(&mut self.law, &mut self.house);
        self.hears(None);
        self.ends();
    }
}

impl<L: Transparent> Law for Watched<L> {
    fn arrive(&mut self, knock: Knock, now: Timestamp) -> Word {
        self.begins(Doing::Came(knock.request.0), now);
        let Arrival { product, customer, .. } = knock.arrival;
        let asked = self.house.asks(&knock.arrival);
        let word = self.law.arrive(knock, now);
        let asked = asked.unwrap_or_else(|| {
            let kept = self.law.kept(product.index(), customer);
            self.house.asked_as_kept(&knock.arrival, kept)
        });
        // Who made room is out before the newcomer is in.
        self.hears(Some(&Newcomer { arrival: knock.arrival, asked }));
        self.looks_up(&knock.arrival);
        self.house.worded(knock, asked, word);
        self.ends();
        word
    }

    fn finish(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.calls(Doing::Ended(request.0), now, |law, house| {
            house.finishes(request, outcome);
            law.finish(request, outcome, now);
        });
    }

    fn finish_unheard(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        self.calls(Doing::Ended(request.0), now, |law, house| {
            house.finishes(request, outcome);
            law.finish_unheard(request, outcome, now);
        });
    }

    fn leave(&mut self, request: RequestId, now: Timestamp) {
        self.calls(Doing::Left(request.0), now, |law, house| {
            house.leaves(request);
            law.leave(request, now);
        });
    }

    fn poll(&mut self) -> Option<Said> {
        self.said.pop_front()
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.house.wakes_at(self.law.next_wake())
    }

    fn wake(&mut self, now: Timestamp) {
        self.begins(Doing::Woke, now);
        self.law.wake(now);
        let silent = !self.hears(None);
        self.house.woke(silent, self.law.next_wake());
        self.ends();
    }

    fn order(&mut self, product: usize, order: Order, now: Timestamp) {
        self.calls(Doing::Ordered(product), now, |law, house| {
            house.ordered(product, order);
            law.order(product, order, now);
        });
    }

    fn look(&self, product: usize) -> Look {
        self.law.look(product)
    }

    fn goes_on(&mut self, knock: Knock, now: Timestamp) {
        self.calls(Doing::Came(knock.request.0), now, |law, _| law.goes_on(knock, now));
    }

    fn is_over(&mut self, request: RequestId, outcome: Outcome, now: Timestamp) {
        // What the request had was given back in a call of its own; what the law has seen may move a limit.
        self.calls(Doing::Ended(request.0), now, |law, _| law.is_over(request, outcome, now));
    }

    fn site(&self, request: RequestId) -> Option<usize> {
        self.law.site(request)
    }

    fn share(&self, product: usize) -> Option<u32> {
        self.law.share(product)
    }

    fn violations(&self) -> &[String] {
        self.house.report.found()
    }

    fn notice(&mut self, notice: Notice, now: Timestamp) -> bool {
        let mut heard = false;
        self.calls(Doing::Told, now, |law, house| {
            house.noticed(notice);
            heard = law.notice(notice, now);
        });
        heard
    }
}

impl House {
    fn new(settings: Settings) -> House {
        let products = settings.products.len();
        let needs =
            settings.products.iter().map(|product| product.needs.each_ref().map(|needs| needs.iter().collect()));
        let trust = Trust::new(&settings);
        let shares = Shares::new(&settings, &trust);
        House {
            needs: needs.collect(),
            shared: (0..settings.resources.len()).map(|resource| shares.is_shared(resource)).collect(),
            shown: Shown::empty(settings.resources.len(), products),
            books: Books::new(&settings),
            passes: settings.products.iter().map(|product| product.passes.clone().map(Passes::new)).collect(),
            kept: None,
            bets: vec![None; products],
            life: Life::new(products, settings.resources.len()),
            hints: vec![Heard::default(); settings.resources.len()],
            trust,
            shares,
            wakes: Wakes::default(),
            report: Report::default(),
            settings,
        }
    }

    fn begins(&mut self, doing: Doing, now: Timestamp) {
        self.report.begin(doing, now);
        self.check_woken();
        if let Some(short) = self.shares.pass_time(&self.books, now) {
            self.report.add("share", format_args!("{short}"));
        }
    }

    /// A request that runs has ended.
    fn finishes(&mut self, request: RequestId, outcome: Outcome) {
        let Stage::Runs(stay) = self.books.stage(request) else {
            self.report.add("once", format_args!("request {} ends and does not run", request.0));
            return;
        };
        let needs = &self.needs[stay.arrival.product.index()][stay.arrival.class.index()];
        self.books.give_back(request, &stay, needs);
        if !stay.reserved {
            let now = self.report.now();
            self.trust.given_back(&stay, needs, now.since(stay.since));
            self.shares.given_back(&stay, needs, now);
            self.answers(&stay.arrival, outcome, now.since(stay.since));
        }
    }

    /// Whoever waits has hung up.
    fn leaves(&mut self, request: RequestId) {
        match self.books.stage(request) {
            Stage::Waits(stay) => self.books.unjoin(request, &stay),
            _ => self.report.add("once", format_args!("request {} leaves and does not wait", request.0)),
        }
    }
}

#[cfg(test)]
mod tests;
