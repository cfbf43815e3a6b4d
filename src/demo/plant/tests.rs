//! The plant over sockets keeps the model's promises.

use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::demo::{block_on, errand};

async fn placed(control: SocketAddr) -> u64 {
    read_report(control).await.expect("a report").placed[0]
}

#[test]
fn each_backend_serves_its_own_pages_only() {
    block_on(async {
        let addresses = open(&Script::saturday(), None, 1).await?;
        let (horse, sport) = (addresses.backends[0], addresses.backends[1]);
        assert_eq!(errand::get(horse, "/horse/odds").await?.0, StatusCode::OK);
        assert_eq!(errand::get(horse, "/sport/odds").await?.0, StatusCode::NOT_FOUND);
        assert_eq!(errand::get(horse, "/horse/bets").await?.0, StatusCode::NOT_FOUND);
        assert_eq!(errand::post(sport, "/sport/bets", "{}".into()).await?.0, StatusCode::OK);
        assert_eq!(read_report(addresses.control).await?.placed, [0, 1, 0]);
        Ok(())
    })
    .expect("the story above");
}

#[test]
fn work_goes_on_when_the_connection_is_closed() {
    block_on(async {
        let addresses = open(&Script::saturday(), None, 1).await?;
        for key in 0..50 {
            let mut caller = TcpStream::connect(addresses.backends[0]).await.expect("connected");
            let request = format!(
                "POST /horse/bets HTTP/1.1\r\nhost: a\r\nx-attempt: {key}\r\nidempotency-key: {key}\r\ncontent-length: 0\r\n\r\n"
            );
            caller.write_all(request.as_bytes()).await.expect("sent");
            // Long enough to be read, not long enough to be done for most.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for _ in 0..100 {
            if placed(addresses.control).await == 50 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("only {} of 50 bets were carried out", placed(addresses.control).await);
    })
    .expect("the story above");
}

#[test]
fn an_attempt_sent_twice_is_found_out() {
    block_on(async {
        let addresses = open(&Script::saturday(), None, 1).await?;
        for _ in 0..2 {
            let mut caller = TcpStream::connect(addresses.backends[0]).await.expect("connected");
            caller.write_all(b"GET /horse/odds HTTP/1.1\r\nhost: a\r\nx-attempt: 5\r\n\r\n").await.expect("sent");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(read_report(addresses.control).await?.duplicates, 1);
        Ok(())
    })
    .expect("the story above");
}
