//! What happens to a station, and what becomes of what it holds.

use super::*;

fn failed(all: &[(Timestamp, JobId, Answer)]) -> usize {
    all.iter().filter(|(_, _, answer)| *answer == Answer::Failed).count()
}

fn cold(factor: f64, eases: Eases) -> Option<Cold> {
    Some(Cold { factor, eases })
}

#[test]
fn a_cold_station_warms_with_what_it_completes() {
    let mut cold_one = sharing(20.0, 0.1);
    cold_one.cold = cold(3.0, Eases::Completions(5_000.0));
    let early = capacity(Station { cold: cold(3.0, Eases::Completions(1e9)), ..cold_one.clone() }, 20, None);
    assert_near(early, 1_000.0 / 3.0);
    // Each completion takes 1 + 2 e^(-x / 5000) ms when x came before it; the integral of that over all is the time.
    let done = 20.0 * capacity(cold_one, 20, None);
    let took = |done: f64| done / 1_000.0 + 10.0 * (1.0 - (-done / 5_000.0).exp());
    assert_near(took(done), 20.0);
}

#[test]
fn a_cold_station_warms_after_its_time_and_what_is_in_progress_speeds_up() {
    let mut station = sharing(1.0, 0.0);
    station.cold = cold(2.0, Eases::After(ms(100)));
    let mut plant = one(station, 80);
    ask(&mut plant, 1, at(0));
    // 50 of its 80 ms in the cold, the other 30 warm.
    assert_eq!(done_at(&mut plant), [130]);
}

#[test]
fn with_seats_coldness_counts_where_work_begins() {
    let mut plant = one(seats(1), 10);
    plant.fault(0, Fault::Cold(Cold { factor: 3.0, eases: Eases::After(ms(40)) }), at(0));
    ask(&mut plant, 3, at(0));
    assert_eq!(done_at(&mut plant), [30, 60, 70]);
}

#[test]
fn slow_is_slow_until_it_ends() {
    let slow = |station| {
        let mut plant = one(station, 100);
        plant.fault(0, Fault::Slow(5.0), at(0));
        ask(&mut plant, 1, at(0));
        plant.fault(0, Fault::Slow(1.0), at(250));
        done_at(&mut plant)
    };
    assert_eq!(slow(sharing(1.0, 0.0)), [300], "sharing: half done when it ends");
    assert_eq!(slow(seats(1)), [500], "seats: as it was when it began");
    assert_near(capacity(sharing(20.0, 0.1), 20, Some(Fault::Slow(5.0))), 200.0);
}

#[test]
fn less_capacity_finishes_what_is_begun() {
    let mut plant = one(seats(4), 10);
    ask(&mut plant, 8, at(0));
    plant.fault(0, Fault::Capacity(0.25), at(5));
    assert_eq!(done_at(&mut plant), [10, 10, 10, 10, 20, 30, 40, 50]);
    ask(&mut plant, 4, at(100));
    plant.fault(0, Fault::Capacity(1.0), at(105));
    assert_eq!(done_at(&mut plant), [110, 115, 115, 115]);
    assert_near(capacity(sharing(20.0, 0.0), 40, Some(Fault::Capacity(0.5))), 500.0);
}

#[test]
fn what_hangs_goes_on_with_what_was_left() {
    for station in [sharing(1.0, 0.0), seats(1)] {
        let mut plant = one(station, 100);
        ask(&mut plant, 1, at(0));
        plant.fault(0, Fault::Hang(true), at(40));
        assert_eq!(plant.next_wake(), None);
        ask(&mut plant, 1, at(500));
        assert!(answers(&mut plant, at(1_000)).is_empty());
        plant.fault(0, Fault::Hang(false), at(1_000));
        let shared = matches!(plant.stations[0].settings.engine, Engine::Sharing { .. });
        assert_eq!(done_at(&mut plant), if shared { [1_120, 1_160] } else { [1_060, 1_160] });
    }
}

#[test]
fn a_station_that_hangs_passes_on_no_answer() {
    let mut plant = plant(vec![seats(9), seats(9)], vec![leg(0, 10, Spread::Constant), leg(1, 10, Spread::Constant)]);
    let asked = ask(&mut plant, 3, at(0));
    plant.fault(0, Fault::Hang(true), at(15));
    plant.hang_up(asked[1], at(30));
    assert!(answers(&mut plant, at(100)).is_empty());
    assert_eq!((plant.held(0), plant.held(1)), (2, 0), "done there, held here");
    plant.fault(0, Fault::Hang(false), at(100));
    assert_eq!(done_at(&mut plant).len(), 2);
    assert_eq!(plant.held(0), 0);
}

#[test]
fn lost_nodes_take_their_part_of_everything_with_them() {
    for place in [sharing(4.0, 0.0), seats(4)] {
        let mut plant = one(Station { threads: 100, backlog: 100, ..place }, 10);
        ask(&mut plant, 150, at(0));
        plant.fault(0, Fault::Lose(50), at(5));
        assert_eq!(failed(&answers(&mut plant, at(5))), 75);
        assert_eq!((plant.held(0) + plant.waiting(0), plant.knee(0)), (75, 2.0));
        let rest = answers(&mut plant, Timestamp::NEVER);
        assert_eq!((rest.len(), failed(&rest)), (75, 0), "the rest goes on");
        plant.fault(0, Fault::Lose(100), at(10_000));
        ask(&mut plant, 1, at(10_000));
        assert_eq!(failed(&answers(&mut plant, at(10_000))), 1, "nobody is there who could take it");
        plant.fault(0, Fault::Lose(0), at(20_000));
        ask(&mut plant, 1, at(20_000));
        assert_eq!(done_at(&mut plant), [20_010]);
    }
}

#[test]
fn who_fails_fails_quickly_and_costs_no_work() {
    let mut plant = one(seats(1), 100);
    plant.fault(0, Fault::Fail(100), at(0));
    ask(&mut plant, 5, at(0));
    let all = answers(&mut plant, at(1));
    assert_eq!((all.len(), failed(&all)), (5, 5));
    plant.fault(0, Fault::Fail(25), at(10));
    ask(&mut plant, 1_000, at(10));
    let all = answers(&mut plant, Timestamp::NEVER);
    assert!((200..300).contains(&failed(&all)) && all.len() == 1_000, "{}", failed(&all));
    plant.fault(0, Fault::Fail(0), at(1_000_000));
    ask(&mut plant, 10, at(1_000_000));
    assert_eq!(failed(&answers(&mut plant, Timestamp::NEVER)), 0);
}
