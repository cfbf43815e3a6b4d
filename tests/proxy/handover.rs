//! A seat handed to a waiter who vanishes at that very moment must come back: a bare "you may go" to somebody
//! who has just gone leaks it, and a proxy of one seat is then shut for ever.

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Barrier};

use sluss::admission::{Arrival, Class, Customer, Domain, ONE_SEAT, Outcome, ProductId, Refusal};
use sluss::config::{self, ThisMachine};
use sluss::proxy::admit::{Admitted, Asked, Gate, Waiting};
use sluss::proxy::clock::Clock;

use super::backend::{Backend, OK};
use super::client::{Client, get, post};
use super::proxy::Setup;
use super::wire::GUARD;

/// A gate with one seat behind it.
fn one_seat(clock: Clock, longest_wait: &str) -> Arc<Gate> {
    let text = "[[product]]\nname = \"a\"\nmatch = [{ path = \"/\" }]\nbackends = [\"http://127.0.0.1:1\"]\n\
                limit = 1\nqueue = { longest_wait = \"LONGEST\" }";
    let config = config::parse(&text.replace("LONGEST", longest_wait), Path::new("test.toml"), &ThisMachine)
        .expect("a sound configuration");
    let domain = Domain::new(config.proxy.domains[0].admission.clone(), 1, clock.now());
    Gate::new(domain, clock, Box::new(|_, _| {}))
}

fn reader(customer: u64) -> Arrival {
    Arrival {
        product: ProductId(0),
        class: Class::Read,
        customer: Customer::Account(customer),
        event: None,
        seats: ONE_SEAT,
    }
}

#[test]
fn nobody_is_forgotten_who_comes_just_as_another_is_told() {
    let clock = Clock::start();
    let gate = one_seat(clock, "1ms");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let awake = gate.clone();
    // As in a running proxy, on a thread of its own; it ends with the test.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(awake.keep_awake());
    });
    let Asked::Admitted(_held) = gate.ask(reader(0), clock.now()) else { panic!("the seat is free") };
    for round in 0..1000 {
        let Asked::Waiting { waiting, .. } = gate.ask(reader(round), clock.now()) else { panic!("the seat is taken") };
        let told = runtime.block_on(async { tokio::time::timeout(GUARD, waiting).await });
        let refused = told.unwrap_or_else(|_| panic!("round {round}: never told")).err();
        assert_eq!(refused.map(|refused| refused.refusal), Some(Refusal::WaitedTooLong));
    }
}

#[test]
fn waiters_cancelled_at_the_moment_they_are_admitted_give_their_seats_back() {
    let clock = Clock::start();
    let gate = one_seat(clock, "1h");
    let ask = |customer| gate.ask(reader(customer), clock.now());
    let both = Arc::new(Barrier::new(2));
    let (leave, leaving) = mpsc::channel::<Vec<Waiting>>();
    let (left, gone) = mpsc::channel();
    let together = both.clone();
    let leaver = std::thread::spawn(move || {
        for waiting in leaving {
            together.wait();
            drop(waiting);
            left.send(()).unwrap();
        }
    });
    for round in 0..10_000u64 {
        let Asked::Admitted(first) = ask(round) else { panic!("round {round}: the seat has not come back") };
        let waiting = (0..1 + round % 6).map(|n| match ask(n) {
            Asked::Waiting { waiting, .. } => waiting,
            _ => panic!("round {round}: the seat is taken"),
        });
        leave.send(waiting.collect()).unwrap();
        both.wait();
        finish(first, round, clock);
        gone.recv().unwrap();
        let held = gate.with(|domain, _| {
            let product = domain.product(ProductId(0));
            (product.in_flight(), product.waiting(Class::Read), domain.resources()[0].in_use())
        });
        assert_eq!(held, (0, 0, 0), "round {round}");
    }
    drop(leave);
    leaver.join().unwrap();
}

/// One way or the other of giving a seat back.
fn finish(admitted: Admitted, round: u64, clock: Clock) {
    if round.is_multiple_of(3) { drop(admitted) } else { admitted.finish(Outcome::Answered, clock.now()) }
}

#[test]
fn clients_that_vanish_around_their_turn_leave_the_seat_to_the_next() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().horse(&backend, "limit = 1\nqueue = { longest_wait = \"30s\" }").start();
    let address = proxy.address();
    let hasty = |seed: u64| {
        move || {
            for round in 0..500u64 {
                let mut client = Client::to(address);
                client.try_to_say(get("/horse/odds"));
                // Somewhere between before its turn and after it.
                for _ in 0..(seed * 7919 + round * 104_729) % 3000 {
                    std::hint::spin_loop();
                }
            }
        }
    };
    let crowd: Vec<_> = (0..6).map(|seed| std::thread::spawn(hasty(seed))).collect();
    let mut steady = proxy.client();
    for _ in 0..200 {
        assert_eq!(steady.ask(post("/horse/bets", "a bet")).status(), 200);
    }
    crowd.into_iter().for_each(|one| one.join().unwrap());
    proxy.until_waiting(0);
    proxy.until_in_flight(0);
    assert_eq!(steady.get("/horse/odds").status(), 200);
}
