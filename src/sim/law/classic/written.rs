//! How a classic law is written: `LIMIT[/QUEUE][/MODIFIER...]`.

use std::time::Duration;

use super::aimd::Aimd;
use super::apf::Apf;
use super::ceiling::Ceiling;
use super::envoy::Envoy;
use super::failsafe::Failsafe;
use super::gradient2::Gradient2;
use super::limit::{Fixed, Limiter};
use super::line::{AtOnce, Codel, Discipline, Line, Single};
use super::partition::{End, Guaranteed, Hard};
use super::power::Power;
use super::seats::Seats;
use super::vegas::Vegas;
use crate::sim::random::Random;

/// Something that may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// Where.
    pub part: Part,
    /// As it is written; `N`, `A` and `B` stand for numbers.
    pub written: &'static str,
    /// What it is, in a line.
    pub meaning: &'static str,
}

/// A part of a law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// How many at once. Comes first, and must come.
    Limit,
    /// Who waits and whose turn it is. `reject` when it is not written.
    Queue,
    /// What else there is; any number of them.
    Modifier,
}

/// Every name that may be written, with a line on what it is.
pub const NAMES: [Name; 24] = [
    limit("none", "everything passes"),
    limit("fixed:N", "N at once"),
    limit("vegas", "Netflix concurrency-limits, VegasLimit over windows of 1 s"),
    limit("gradient2", "Netflix concurrency-limits, Gradient2Limit over windows of 1 s"),
    limit("aimd", "Netflix concurrency-limits, AIMDLimit: up by one, down by a tenth"),
    limit("envoy", "Envoy's adaptive_concurrency: gradient of the 90th percentile, probes at three"),
    limit("envoy-raw", "the same before envoy#11579, and without restoring the limit after a probe"),
    limit("failsafe", "failsafe-go's adaptive limiter: Vegas with correlations"),
    limit("power:A", "uphill on throughput / latency^A; A is 0.5 or 1 in the known rows"),
    limit("p95", "as many as keep the 95th percentile below the objective, while more bring more"),
    queue("reject", "nobody waits"),
    queue("fifo", "who came first, without a bound"),
    queue("fifo:N", "who came first, N at most"),
    queue("lifo", "who came last, 20000 at most"),
    queue("adaptive-lifo", "who came first; who came last while the line has not been empty for 100 ms"),
    queue("codel", "who came first; late ones are shed while a queue stands (folly, 5 ms in 100 ms)"),
    queue("shared-fifo", "who came first, whatever the product: the same as fifo"),
    queue("hard-partition", "each product has its guarantee and no more"),
    queue("netflix-partition", "nobody waits; below its guarantee a product may exceed the limit"),
    queue("guaranteed-lifo", "below the guarantee first, the rest lent by weight; who came last"),
    queue("guaranteed-fifo", "below the guarantee first, the rest lent by weight; who came first"),
    queue("apf", "divided anew every 10 s, as in Kubernetes' API Priority and Fairness; who came first"),
    modifier("retry-after:A-B", "every no says to come back in A to B seconds"),
    modifier("cohort", "a gate that lets customers in for good while the plant has room"),
];

const fn limit(written: &'static str, meaning: &'static str) -> Name {
    Name { part: Part::Limit, written, meaning }
}

const fn queue(written: &'static str, meaning: &'static str) -> Name {
    Name { part: Part::Queue, written, meaning }
}

const fn modifier(written: &'static str, meaning: &'static str) -> Name {
    Name { part: Part::Modifier, written, meaning }
}

/// A law as written, checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Written {
    limit: LimitName,
    queue: QueueName,
    /// What every no says.
    pub(super) retry_after: Option<(Duration, Duration)>,
    /// Whether there is a gate.
    pub(super) gate: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum LimitName {
    None,
    Fixed(u32),
    Vegas,
    Gradient2,
    Aimd,
    Envoy { as_first_shipped: bool },
    Failsafe,
    Power(f64),
    P95,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum QueueName {
    Reject,
    Fifo(usize),
    Lifo,
    AdaptiveLifo,
    Codel,
    Hard,
    Netflix,
    Guaranteed(End),
    Apf,
}

impl Written {
    /// What was written, or a sentence on what is wrong with it.
    pub(super) fn parse(written: &str) -> Result<Written, String> {
        let mut parts = written.split('/').peekable();
        let first = parts.next().unwrap_or_default();
        let limit = parse_limit(first)?.ok_or_else(|| unknown(first, false))?;
        let queue = parts.peek().and_then(|part| parse_queue(part).transpose()).transpose()?;
        if queue.is_some() {
            parts.next();
        }
        let queue = queue.unwrap_or(QueueName::Reject);
        if limit == LimitName::None && queue != QueueName::Reject {
            return Err(format!(
                "`{written}`: without a limit nobody waits; write `none` without a queue, or `fixed:N`"
            ));
        }
        let mut law = Written { limit, queue, retry_after: None, gate: false };
        parts.try_for_each(|part| law.modify(part))?;
        Ok(law)
    }

    fn modify(&mut self, part: &str) -> Result<(), String> {
        let twice = if part == "cohort" {
            std::mem::replace(&mut self.gate, true)
        } else if let Some(seconds) = part.strip_prefix("retry-after:") {
            self.retry_after.replace(parse_seconds(seconds)?).is_some()
        } else if parse_queue(part)?.is_some() {
            return Err(format!(
                "`{part}` is a queue: a law has one, right after its limit (LIMIT[/QUEUE][/MODIFIER...])"
            ));
        } else {
            return Err(unknown(part, true));
        };
        if twice { Err(format!("`{part}`: a modifier may be written once")) } else { Ok(()) }
    }

    /// A limiter for one pool.
    pub(super) fn limiter(&self, objective: Duration, random: Random) -> Box<dyn Limiter> {
        match self.limit {
            LimitName::None => Box::new(Fixed(f64::INFINITY)),
            LimitName::Fixed(limit) => Box::new(Fixed(f64::from(limit))),
            LimitName::Vegas => Box::new(Vegas::new(random)),
            LimitName::Gradient2 => Box::new(Gradient2::new()),
            LimitName::Aimd => Box::new(Aimd::new()),
            LimitName::Envoy { as_first_shipped } => Box::new(Envoy::new(as_first_shipped, random)),
            LimitName::Failsafe => Box::new(Failsafe::new()),
            LimitName::Power(exponent) => Box::new(Power::new(exponent, objective)),
            LimitName::P95 => Box::new(Ceiling::new(objective)),
        }
    }

    /// A line for one pool.
    pub(super) fn line(&self, seats: &Seats) -> Box<dyn Line> {
        match self.queue {
            QueueName::Reject => Box::new(AtOnce::default()),
            QueueName::Fifo(bound) => Box::new(Single::new(Discipline::Fifo, bound)),
            QueueName::Lifo => Box::new(Single::new(Discipline::Lifo, LONG_LINE)),
            QueueName::AdaptiveLifo => Box::new(Single::new(Discipline::AdaptiveLifo, LONG_LINE)),
            QueueName::Codel => Box::new(Single::new(Discipline::Codel(Codel::new()), LONG_LINE)),
            QueueName::Hard => Box::new(Hard::new(seats.products())),
            QueueName::Netflix => Box::new(AtOnce::netflix_partition()),
            QueueName::Guaranteed(end) => Box::new(Guaranteed::new(seats.products(), end)),
            QueueName::Apf => Box::new(Apf::new(seats)),
        }
    }
}

fn parse_limit(part: &str) -> Result<Option<LimitName>, String> {
    if let Some(count) = part.strip_prefix("fixed:") {
        return parse_count(part, count).map(|count| Some(LimitName::Fixed(count)));
    }
    if let Some(exponent) = part.strip_prefix("power:") {
        return parse_exponent(exponent).map(|exponent| Some(LimitName::Power(exponent)));
    }
    Ok(Some(match part {
        "none" => LimitName::None,
        "vegas" => LimitName::Vegas,
        "gradient2" => LimitName::Gradient2,
        "aimd" => LimitName::Aimd,
        "envoy" => LimitName::Envoy { as_first_shipped: false },
        "envoy-raw" => LimitName::Envoy { as_first_shipped: true },
        "failsafe" => LimitName::Failsafe,
        "p95" => LimitName::P95,
        _ => return Ok(None),
    }))
}

fn parse_queue(part: &str) -> Result<Option<QueueName>, String> {
    if let Some(count) = part.strip_prefix("fifo:") {
        return parse_count(part, count).map(|count| Some(QueueName::Fifo(count as usize)));
    }
    Ok(Some(match part {
        "reject" => QueueName::Reject,
        "fifo" | "shared-fifo" => QueueName::Fifo(usize::MAX),
        "lifo" => QueueName::Lifo,
        "adaptive-lifo" => QueueName::AdaptiveLifo,
        "codel" => QueueName::Codel,
        "hard-partition" => QueueName::Hard,
        "netflix-partition" => QueueName::Netflix,
        "guaranteed-lifo" => QueueName::Guaranteed(End::Back),
        "guaranteed-fifo" => QueueName::Guaranteed(End::Front),
        "apf" => QueueName::Apf,
        _ => return Ok(None),
    }))
}

fn parse_count(part: &str, count: &str) -> Result<u32, String> {
    let parsed = count.parse().ok().filter(|count| (1..=MOST_COUNTED).contains(count));
    parsed.ok_or_else(|| format!("`{part}`: `{count}` is not a whole number from 1 to {MOST_COUNTED}"))
}

fn parse_exponent(exponent: &str) -> Result<f64, String> {
    let parsed = exponent.parse().ok().filter(|exponent| (0.1..=4.0).contains(exponent));
    parsed.ok_or_else(|| format!("`power:{exponent}`: `{exponent}` is not a number from 0.1 to 4"))
}

fn parse_seconds(range: &str) -> Result<(Duration, Duration), String> {
    let whole = |text: &str| text.parse().ok().filter(|&seconds| seconds <= DAY_S).map(Duration::from_secs);
    let parsed = range.split_once('-').and_then(|(least, most)| whole(least).zip(whole(most)));
    parsed.filter(|(least, most)| least <= most).ok_or_else(|| {
        format!(
            "`retry-after:{range}`: write whole seconds, the fewest first and {DAY_S} at most, as in `retry-after:2-6`"
        )
    })
}

/// `after_limit` is where a queue or a modifier may stand.
fn unknown(part: &str, after_limit: bool) -> String {
    let noun = if after_limit { "queue or modifier" } else { "limit" };
    let fits = |name: &&Name| (name.part == Part::Limit) != after_limit;
    let names: Vec<&str> = NAMES.iter().filter(fits).map(|name| name.written).collect();
    let names = names.join(", ");
    format!("`{part}` is no {noun}; a law is written LIMIT[/QUEUE][/MODIFIER...], and here may stand {names}")
}

const MOST_COUNTED: u32 = 1_000_000;
const DAY_S: u64 = 86_400;
/// The bound of lines in which those who hung up may lie below those who still wait.
const LONG_LINE: usize = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_list_may_be_written() {
        for name in NAMES {
            let filled = name.written.replace("A-B", "2-6").replace(":N", ":20").replace(":A", ":0.5");
            let law = if name.part == Part::Limit { filled } else { format!("fixed:20/{filled}") };
            assert!(Written::parse(&law).is_ok(), "{law}");
        }
    }

    #[test]
    fn parts_are_read_in_their_places() {
        let written = Written::parse("fixed:20/fifo:100/cohort/retry-after:2-6");
        let seconds = Duration::from_secs;
        let expected = Written {
            limit: LimitName::Fixed(20),
            queue: QueueName::Fifo(100),
            retry_after: Some((seconds(2), seconds(6))),
            gate: true,
        };
        assert_eq!(written, Ok(expected));
        let plain = Written { limit: LimitName::Vegas, queue: QueueName::Reject, retry_after: None, gate: false };
        assert_eq!(Written::parse("vegas"), Ok(plain));
        assert!(Written::parse("none/retry-after:2-2").is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_with_what_may_be_written() {
        for (written, said) in [
            ("", "`` is no limit"),
            ("vegsa", "here may stand none, fixed:N, vegas, gradient2"),
            ("codel", "`codel` is no limit"),
            ("vegas/fiffo", "`fiffo` is no queue or modifier; a law is written LIMIT[/QUEUE][/MODIFIER...]"),
            ("vegas/fiffo", "reject, fifo, fifo:N, lifo"),
            ("vegas/", "retry-after:A-B, cohort"),
            ("fixed:0", "`0` is not a whole number from 1"),
            ("fixed:", "`` is not a whole number"),
            ("fixed:20/fifo:many", "`many` is not a whole number"),
            ("power:nan", "`nan` is not a number from 0.1 to 4"),
            ("none/fifo", "without a limit nobody waits"),
            ("vegas/cohort/codel", "`codel` is a queue: a law has one, right after its limit"),
            ("vegas/cohort/cohort", "once"),
            ("vegas/retry-after:2-6/retry-after:3-4", "once"),
            ("vegas/retry-after:6-2", "the fewest first"),
            ("vegas/retry-after:6", "as in `retry-after:2-6`"),
        ] {
            let error = Written::parse(written).expect_err(written);
            assert!(error.contains(said), "{written}: {error}");
        }
    }
}
