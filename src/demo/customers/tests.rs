//! Customers over sockets: to the plant, to a door that never answers, to one that is shut.

use super::*;
use crate::demo::{block_on, plant};
use crate::sim::scenario::{Manner, Patience, Pause};

/// Horse bettors who are quick to lose patience, and quick with everything else.
fn crowd() -> Rc<Crowd> {
    let half = Duration::from_millis(500);
    let crowd = (*Script::saturday().crowds[0]).clone();
    let hammerers = crowd.manners.iter().filter(|manner| manner.name == "hammerer");
    Rc::new(Crowd {
        manners: hammerers.map(|manner| Manner { share: 100, ..manner.clone() }).collect(),
        patience: Patience { least: half, most: half, by_step: false },
        think: Pause::Between(Duration::ZERO, Duration::from_millis(10)),
        ..crowd
    })
}

fn field(doors: Doors) -> Rc<Field> {
    Field::new(&Script::saturday(), doors, Sources::find(), 1)
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
        let addresses = plant::open(&Script::saturday(), None, 1).await?;
        let field = field(addresses.backends.clone());
        let crowd = crowd();
        (0..30).for_each(|nth| field.come(&crowd, 0, nth, Duration::from_millis(nth)));
        over(&field, 30).await;
        let records = field.records.take();
        assert!(records.journeys.iter().all(|journey| journey.fate == Fate::Finished));
        assert_eq!(records.attempts.len(), 90);
        assert_eq!(field.open.now(), 0);
        let report = plant::read_report(addresses.control).await?;
        assert_eq!((report.placed[0], report.duplicates), (30, 0));
        Ok(())
    })
    .expect("the story above");
}

#[test]
fn a_shut_door_is_a_failed_attempt_and_ends_with_patience() {
    block_on(async {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
        let field = field(vec![nobody; 3]);
        field.come(&crowd(), 0, 0, Duration::ZERO);
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
        let field = field(vec![silent.local_addr().expect("an address"); 3]);
        field.come(&crowd(), 0, 0, Duration::ZERO);
        let (mut caller, _) = silent.accept().await.expect("a caller");
        over(&field, 1).await;
        assert!(matches!(field.records.borrow().attempts[0].how, Ended::TimedOut(_)));
        // What was asked, and then the end of the connection.
        let mut heard = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut caller, &mut heard).await.expect("it was closed");
        assert!(heard.starts_with(b"GET /horse/odds "));
        Ok(())
    })
    .expect("the story above");
}
