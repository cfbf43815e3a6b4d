//! Customers over sockets: to the plant, to a door that never answers, to one that is shut.

use super::*;
use crate::demo::{block_on, plant};
use crate::sim::customers::{Event, Kind};

fn traits(id: u64) -> Traits {
    Traits {
        id,
        product: Product::HorseRacing,
        event: Event::Jackpot,
        kind: Kind::Hammerer,
        arrives: Duration::from_millis(id),
        patience: Duration::from_millis(500),
        think: (Duration::ZERO, Duration::from_millis(10)),
    }
}

/// Waits until as many journeys are over.
async fn over(field: &Field, journeys: usize) {
    for _ in 0..1_000 {
        let gone = field.records.borrow().journeys.iter().filter(|j| j.fate != Fate::UnderWay).count();
        if gone == journeys {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not all journeys ended");
}

#[test]
fn undisturbed_customers_finish_with_three_attempts_each_and_hang_up() {
    block_on(async {
        let addresses = plant::open(None, 1).await?;
        let field = Field::new(addresses.backends, Sources::find(), 1);
        field.arrive((0..30).map(traits).collect(), Duration::ZERO);
        over(&field, 30).await;
        let records = field.records.take();
        assert!(records.journeys.iter().all(|journey| journey.fate == Fate::Finished));
        assert_eq!(records.attempts.len(), 90);
        assert_eq!(field.open.now(), 0);
        let report = plant::read_report(addresses).await?;
        assert_eq!((report.placed[0], report.duplicates), (30, 0));
        Ok(())
    })
    .expect("the story above");
}

#[test]
fn a_shut_door_is_a_failed_attempt_and_ends_with_patience() {
    block_on(async {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let field = Field::new([nobody; 3], Sources::find(), 1);
        field.arrive(vec![traits(0)], Duration::ZERO);
        over(&field, 1).await;
        let records = field.records.borrow();
        assert_eq!(records.journeys[0].fate, Fate::GaveUp);
        assert_eq!(records.attempts[0].how, Ended::Failed);
        Ok(())
    })
    .expect("the story above");
}

#[test]
fn whoever_gets_no_answer_hangs_up_after_the_time_out() {
    block_on(async {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let field = Field::new([silent.local_addr().expect("an address"); 3], Sources::find(), 1);
        field.arrive(vec![traits(0)], Duration::ZERO);
        let (mut caller, _) = silent.accept().await.expect("a caller");
        over(&field, 1).await;
        assert_eq!(field.records.borrow().attempts[0].how, Ended::TimedOut);
        // What was asked, and then the end of the connection.
        let mut heard = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut caller, &mut heard).await.expect("it was closed");
        assert!(heard.starts_with(b"GET /horse/odds "));
        Ok(())
    })
    .expect("the story above");
}
