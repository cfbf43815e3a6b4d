//! Words and what stands beside them, one after the other: the lengths of both, a JSON object, and bytes as they are.

use std::io;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::proxy::identity::Kept;
use crate::proxy::once::BetWord;

/// What is said.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame {
    /// The first word of each.
    Hello(Hello),
    /// Of bets; the body of an answer stands beside it.
    Bet(BetWord),
    /// Passes and promised turns.
    Held { product: String, held: Vec<Holds> },
    /// Sessions that go by this cookie.
    Sessions { cookie: String, sessions: Vec<Kept> },
    /// That was all that was known. What follows came later.
    All,
}

/// Whether the two understand each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u32,
    /// A name that both turn into the same number when they turn all names into the same.
    pub(super) probe: u64,
    /// Whether bets are known at all.
    pub(super) bets: bool,
}

/// What somebody holds at a product.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Holds {
    pub(super) who: u64,
    pub(super) turn: Option<u64>,
    pub(super) for_ms: u64,
    pub(super) left_ms: u64,
}

const LONGEST_WORD: u32 = 4 << 20;
/// As long as an answer that is kept may be.
const LONGEST_BODY: u32 = 64 << 20;

pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Frame, body: &[u8]) -> io::Result<()> {
    let word = serde_json::to_vec(frame)?;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
    to.write_u32(length(&word)?).await?;
    to.write_u32(length(body)?).await?;
    to.write_all(&word).await?;
    to.write_all(body).await
}

/// The next; nothing when the other has said all it had to say.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<(Frame, Bytes)>> {
    let word = match from.read_u32().await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        word => word?,
    };
    let body = from.read_u32().await?;
    if word > LONGEST_WORD || body > LONGEST_BODY {
        return Err(io::Error::other("a word that is too long"));
    }
    let mut bytes = vec![0; word as usize];
    from.read_exact(&mut bytes).await?;
    let mut beside = vec![0; body as usize];
    from.read_exact(&mut beside).await?;
    Ok(Some((serde_json::from_slice(&bytes)?, beside.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
    }

    #[test]
    fn what_is_written_is_read_and_then_comes_the_end() {
        let hello = Hello { version: 1, probe: u64::MAX, bets: true };
        let mut said = Vec::new();
        run(async {
            write(&mut said, &Frame::Hello(hello), b"").await.expect("memory");
            write(&mut said, &Frame::All, b"\x00beside").await.expect("memory");
            let mut from = &said[..];
            let first = read(&mut from).await.expect("a word").expect("a word");
            assert!(matches!(first, (Frame::Hello(heard), body) if heard == hello && body.is_empty()));
            let second = read(&mut from).await.expect("a word").expect("a word");
            assert!(matches!(second, (Frame::All, body) if body == b"\x00beside"[..]));
            assert!(read(&mut from).await.expect("the end").is_none());
        });
    }

    #[test]
    fn half_a_word_nonsense_and_what_is_too_long_are_errors() {
        let mut whole = Vec::new();
        run(write(&mut whole, &Frame::All, b"beside")).expect("memory");
        for said in [&whole[..whole.len() - 1], b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\x02\0\0\0\0no"] {
            let mut from = said;
            assert!(run(read(&mut from)).is_err(), "{said:?}");
        }
    }
}
