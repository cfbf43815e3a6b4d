//! Every key that a configuration may have, with an example of its value.
//!
//! Other files that people write are held against tables of their own in the same way: a [`Reference`] says which.
//!
//! The reference in `docs/configuration.md` lists the same keys; tests hold this table, the reference and
//! `file` together.

use Kind::*;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it stands: `product.queue.length` is `length` in `[product.queue]`.
    pub path: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// A value as it is written.
    pub example: &'static str,
}

/// What a kind of file may have in it, and where that is described.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reference {
    /// What such a file is called in a sentence.
    pub(crate) what: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
    /// The page that describes them.
    pub(crate) page: &'static str,
}

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A time with its unit.
    Duration,
    /// A number of bytes with its unit.
    Size,
    /// A whole number.
    Number,
    /// A number, whole or not.
    Real,
    /// Yes or no.
    Switch,
    /// Several texts.
    Texts,
    /// Several of what stands in braces.
    Tables,
    /// Several texts or braces.
    TextsOrTables,
    /// A text, or what stands in braces.
    TextOrTable,
    /// What stands in braces.
    Table,
    /// A number, or several of what stands in braces.
    RealOrTables,
    /// A number of seats, or a range to look in.
    Limit,
    /// A number of seats, or where a request says it.
    Seats,
    /// A date and time with an offset.
    Time,
    /// What stands under `[name]`.
    Section,
    /// What stands under each `[[name]]`.
    Sections,
}

impl Kind {
    /// What it is, to be read after "should be".
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Text => "text in quotes",
            Duration => "a duration with its unit, in quotes",
            Size => "a size with its unit, in quotes",
            Number => "a whole number",
            Real => "a number",
            Switch => "true or false",
            Texts => "a list of texts in quotes",
            Tables => "a list of tables in braces",
            TextsOrTables => "a list of tables in braces, or words in quotes",
            TextOrTable => "text in quotes, or a table in braces",
            Table => "a table in braces",
            RealOrTables => "a number, or a list of tables in braces",
            Limit | Seats => "a whole number, or a table in braces",
            Time => "a date and time",
            Section => "a section",
            Sections => "several sections",
        }
    }
}

impl Key {
    /// Its last word.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The section it stands in; empty at the top of the file.
    pub fn section(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(section, _)| section)
    }

    /// How it is written, as a line.
    pub(crate) fn written(&self) -> String {
        match self.kind {
            Section | Sections => self.example.to_owned(),
            _ => format!("{} = {}", self.name(), self.example),
        }
    }
}

pub(crate) const fn key(path: &'static str, kind: Kind, example: &'static str) -> Key {
    Key { path, kind, example }
}

/// The keys of the configuration.
pub const CONFIG: &[Key] = &[
    key("log", Text, r#""auto""#),
    key("journal", Text, r#""sluss.journal""#),
    key("observe_only", Switch, "true"),
    key("listen", Section, "[listen]"),
    key("listen.address", Text, r#""127.0.0.1:8080""#),
    key("listen.trusted", Texts, r#"["10.0.0.0/8"]"#),
    key("listen.proxy_protocol", Texts, r#"["10.0.0.0/8"]"#),
    key("listen.workers", Number, "4"),
    key("listen.connections", Number, "10000"),
    key("listen.connections_per_address", Number, "500"),
    key("listen.memory", Size, r#""512MiB""#),
    key("listen.notice", Duration, r#""5s""#),
    key("listen.spread", Duration, r#""5s""#),
    key("listen.drain", Duration, r#""30s""#),
    key("listen.header_bytes", Size, r#""16KiB""#),
    key("listen.headers", Number, "100"),
    key("listen.uri_bytes", Size, r#""8KiB""#),
    key("listen.body_bytes", Size, r#""1MiB""#),
    key("listen.waiting_body_bytes", Size, r#""64KiB""#),
    key("listen.header_timeout", Duration, r#""10s""#),
    key("listen.idle_timeout", Duration, r#""60s""#),
    key("listen.body_timeout", Duration, r#""10s""#),
    key("listen.send_timeout", Duration, r#""30s""#),
    key("listen.least_rate", Size, r#""512B""#),
    key("listen.http2", Switch, "true"),
    key("listen.http2_streams", Number, "100"),
    key("listen.tls", Section, "[listen.tls]"),
    key("listen.tls.certificates", Tables, r#"[{ chain = "bet.example.pem", key = "bet.example.key" }]"#),
    key("listen.tls.certificates.chain", Text, r#""bet.example.pem""#),
    key("listen.tls.certificates.key", Text, r#""bet.example.key""#),
    key("listen.tls.minimum", Text, r#""1.2""#),
    key("listen.tls.client_ca", Text, r#""clients.pem""#),
    key("listen.tls.client_certificates", Text, r#""required""#),
    key("admin", Section, "[admin]"),
    key("admin.address", Text, r#""127.0.0.1:9900""#),
    key("admin.token", Text, r#""a-long-random-text""#),
    key("admin.token_file", Text, r#""admin.token""#),
    key("upgrade", Section, "[upgrade]"),
    key("upgrade.ready_within", Duration, r#""30s""#),
    key("upgrade.drain", Duration, r#""10m""#),
    key("access_log", Section, "[access_log]"),
    key("access_log.to", Text, r#""access.log""#),
    key("access_log.one_in", Table, "{ refused = 100 }"),
    key("access_log.one_in.answered", Number, "10"),
    key("access_log.one_in.refused", Number, "100"),
    key("access_log.one_in.failed", Number, "1"),
    key("access_log.query", Switch, "true"),
    key("access_log.memory", Size, r#""4MiB""#),
    key("trace", Section, "[trace]"),
    key("trace.traceparent", Switch, "false"),
    key("trace.sampled_one_in", Number, "100"),
    key("trace.request_id", Text, r#""x-request-id""#),
    key("cache", Section, "[cache]"),
    key("cache.memory", Size, r#""64MiB""#),
    key("cache.object", Size, r#""256KiB""#),
    key("customer", Section, "[customer]"),
    key("customer.from", TextsOrTables, r#"[{ header = "x-customer" }, "address"]"#),
    key("customer.from.header", Text, r#""x-customer""#),
    key(
        "customer.from.jwt",
        Table,
        r#"{ header = "authorization", keys = [{ file = "jwt.pem", algorithm = "EdDSA" }] }"#,
    ),
    key("customer.from.jwt.header", Text, r#""authorization""#),
    key("customer.from.jwt.cookie", Text, r#""token""#),
    key("customer.from.jwt.claim", Text, r#""sub""#),
    key("customer.from.jwt.keys", Tables, r#"[{ file = "jwt.pem", algorithm = "EdDSA" }]"#),
    key("customer.from.jwt.keys.file", Text, r#""jwt.pem""#),
    key("customer.from.jwt.keys.algorithm", Text, r#""EdDSA""#),
    key("customer.from.jwt.keys.id", Text, r#""2024-08""#),
    key("customer.from.jwt.issuer", Text, r#""https://login.example.com""#),
    key("customer.from.jwt.audience", Text, r#""betting""#),
    key("customer.from.jwt.leeway", Duration, r#""30s""#),
    key("customer.from.jwt.most", Number, "100000"),
    key("customer.from.cookie", Text, r#""session""#),
    key("customer.from.bound_by", TextOrTable, r#""set-cookie""#),
    key("customer.from.bound_by.header", Text, r#""x-customer""#),
    key("customer.from.bound_by.pass", Switch, "true"),
    key("customer.from.most", Number, "200000"),
    key("customer.from.idle", Duration, r#""30m""#),
    key("customer.at_once", Number, "8"),
    key("customer.at_once_per_address", Number, "256"),
    key("customer.ipv4_prefix", Number, "32"),
    key("customer.ipv6_prefix", Number, "64"),
    key("machine", Sections, "[[machine]]"),
    key("machine.name", Text, r#""provider-x""#),
    key("machine.from", Texts, r#"["203.0.113.0/24"]"#),
    key("machine.header", Table, r#"{ name = "x-partner", value = "feed" }"#),
    key("machine.header.name", Text, r#""x-partner""#),
    key("machine.header.value", Text, r#""feed""#),
    key("machine.token_header", Text, r#""authorization""#),
    key("machine.token_file", Text, r#""provider-x.token""#),
    key("machine.at_once", Number, "50"),
    key("event", Section, "[event]"),
    key("event.from", Tables, r#"[{ header = "x-event" }, { path = "/horse/bets/{event}" }]"#),
    key("event.from.header", Text, r#""x-event""#),
    key("event.from.path", Text, r#""/horse/bets/{event}""#),
    key("event.from.json", Text, r#""/coupon/race""#),
    key("event.json_bytes", Size, r#""16KiB""#),
    key("schedule", Section, "[schedule]"),
    key("schedule.file", Text, r#""schedule.toml""#),
    key("cors", Section, "[cors]"),
    key("cors.origins", Texts, r#"["https://www.example.com"]"#),
    key("cors.credentials", Switch, "true"),
    key("cors.methods", Texts, r#"["GET", "HEAD", "POST"]"#),
    key("cors.headers", Texts, r#"["content-type"]"#),
    key("cors.max_age", Duration, r#""10m""#),
    key("pages", Section, "[pages]"),
    key("pages.language", Text, r#""sv""#),
    key("pages.time_zone", Text, r#""Europe/Stockholm""#),
    key("pages.links", Tables, r#"[{ href = "https://www.example.com/help", sv = "Hjälp", en = "Help" }]"#),
    key("pages.links.href", Text, r#""https://www.example.com/help""#),
    key("pages.links.sv", Text, r#""Hjälp""#),
    key("pages.links.en", Text, r#""Help""#),
    key("once", Section, "[once]"),
    key("once.header", Texts, r#"["idempotency-key"]"#),
    key("once.classes", Texts, r#"["commit"]"#),
    key("once.keep", Duration, r#""1h""#),
    key("once.bets", Number, "100000"),
    key("once.memory", Size, r#""64MiB""#),
    key("once.answer_bytes", Size, r#""64KiB""#),
    key("schedule.margin", Duration, r#""2s""#),
    key("budget", Sections, "[[budget]]"),
    key("budget.name", Text, r#""wallet""#),
    key("budget.classes", Texts, r#"["start", "commit"]"#),
    key("budget.products", Texts, r#"["horse-racing"]"#),
    key("budget.limit", Limit, "12"),
    key("budget.limit.initial", Number, "8"),
    key("budget.limit.least", Number, "2"),
    key("budget.limit.most", Number, "4096"),
    key("budget.hint", Text, r#""x-wallet-seats""#),
    key("budget.pass_hint", Switch, "true"),
    key("product", Sections, "[[product]]"),
    key("product.name", Text, r#""horse-racing""#),
    key("product.match", Tables, r#"[{ path = "/horse/" }]"#),
    key("product.match.path", Text, r#""/horse/""#),
    key("product.match.host", Text, r#""horse.example.com""#),
    key("product.match.method", Text, r#""POST""#),
    key("product.match.header", TextOrTable, r#"{ name = "x-app", value = "ios" }"#),
    key("product.match.header.name", Text, r#""x-app""#),
    key("product.match.header.value", Text, r#""ios""#),
    key("product.backends", TextsOrTables, r#"["http://127.0.0.1:9101"]"#),
    key("product.backends.url", Text, r#""http://127.0.0.1:9101""#),
    key("product.backends.weight", Number, "2"),
    key("product.backends.priority", Number, "1"),
    key("product.site", Sections, "[[product.site]]"),
    key("product.site.name", Text, r#""north""#),
    key("product.site.share", Number, "50"),
    key("product.site.backends", TextsOrTables, r#"["http://127.0.0.1:9101"]"#),
    key("product.site.backends.url", Text, r#""http://127.0.0.1:9101""#),
    key("product.site.backends.weight", Number, "2"),
    key("product.site.backends.priority", Number, "1"),
    key("product.site.limit", Limit, "40"),
    key("product.site.limit.initial", Number, "8"),
    key("product.site.limit.least", Number, "2"),
    key("product.site.limit.most", Number, "4096"),
    key("product.protocol", Text, r#""http2""#),
    key("product.balance", Text, r#""least_requests""#),
    key("product.resolve", Duration, r#""30s""#),
    key("product.slow_start", Duration, r#""30s""#),
    key("product.failover", Number, "70"),
    key("product.health", Section, "[product.health]"),
    key("product.health.path", Text, r#""/health""#),
    key("product.health.method", Text, r#""GET""#),
    key("product.health.grpc", Text, r#""horse.Bets""#),
    key("product.health.host", Text, r#""horse.internal""#),
    key("product.health.expect", Texts, r#"["200-299"]"#),
    key("product.health.interval", Duration, r#""2s""#),
    key("product.health.timeout", Duration, r#""1s""#),
    key("product.health.fall", Number, "3"),
    key("product.health.rise", Number, "2"),
    key("product.outliers", Section, "[product.outliers]"),
    key("product.outliers.consecutive", Number, "5"),
    key("product.outliers.behind", Number, "15"),
    key("product.outliers.answers", Number, "50"),
    key("product.outliers.interval", Duration, r#""10s""#),
    key("product.outliers.first", Duration, r#""10s""#),
    key("product.outliers.longest", Duration, r#""5m""#),
    key("product.outliers.most", Number, "30"),
    key("product.outliers.panic", Number, "50"),
    key("product.latency_objective", Duration, r#""250ms""#),
    key("product.guarantee", Number, "50"),
    key("product.default_class", Text, r#""read""#),
    key("product.class", Sections, "[[product.class]]"),
    key("product.class.class", Text, r#""commit""#),
    key("product.class.seats", Seats, "2"),
    key("product.class.seats.json", Text, r#""/systems""#),
    key("product.class.seats.header", Text, r#""x-systems""#),
    key("product.class.seats.per", Number, "100"),
    key("product.class.seats.most", Number, "16"),
    key("product.class.cache", Table, r#"{ fresh = "1s", stale = "30s" }"#),
    key("product.class.cache.fresh", Duration, r#""1s""#),
    key("product.class.cache.stale", Duration, r#""30s""#),
    key("product.class.cache.headers", Texts, r#"["x-app"]"#),
    key("product.class.match", Tables, r#"[{ method = "POST", path = "/horse/bets" }]"#),
    key("product.class.match.path", Text, r#""/horse/bets""#),
    key("product.class.match.host", Text, r#""horse.example.com""#),
    key("product.class.match.method", Text, r#""POST""#),
    key("product.class.match.header", TextOrTable, r#"{ name = "x-app", value = "ios" }"#),
    key("product.class.match.header.name", Text, r#""x-app""#),
    key("product.class.match.header.value", Text, r#""ios""#),
    key("product.limit", Limit, "40"),
    key("product.limit.initial", Number, "8"),
    key("product.limit.least", Number, "2"),
    key("product.limit.most", Number, "4096"),
    key("product.reserve", Number, "8"),
    key("product.reserve_per_customer", Number, "2"),
    key("product.connect_timeout", Duration, r#""1s""#),
    key("product.first_byte_timeout", Duration, r#""10s""#),
    key("product.idle_timeout", Duration, r#""10s""#),
    key("product.total_timeout", Duration, r#""60s""#),
    key("product.keep", Duration, r#""4s""#),
    key("product.idle_connections", Number, "1024"),
    key("product.retry_budget", Number, "10"),
    key("product.honours_idempotency_key", Switch, "true"),
    key("product.lookup", Text, r#""/horse/bets/by-key/{key}""#),
    key("product.upgrade", Texts, r#"["websocket"]"#),
    key("product.tls", Section, "[product.tls]"),
    key("product.tls.ca", Text, r#""internal-ca.pem""#),
    key("product.tls.server_name", Text, r#""horse.internal""#),
    key("product.tls.certificate", Table, r#"{ chain = "sluss.pem", key = "sluss.key" }"#),
    key("product.tls.certificate.chain", Text, r#""sluss.pem""#),
    key("product.tls.certificate.key", Text, r#""sluss.key""#),
    key("product.tls.minimum", Text, r#""1.2""#),
    key("product.streams", Section, "[product.streams]"),
    key("product.streams.seat", Duration, r#""5s""#),
    key("product.streams.most", Number, "10000"),
    key("product.streams.idle_timeout", Duration, r#""5m""#),
    key("product.streams.longest", Duration, r#""12h""#),
    key("product.streams.types", Texts, r#"["text/event-stream"]"#),
    key("product.queue", Section, "[product.queue]"),
    key("product.queue.longest_wait", Duration, r#""1s""#),
    key("product.queue.length", Number, "1000"),
    key("product.queue.floor", Number, "2"),
    key("product.queue.near_stop", Duration, r#""3s""#),
    key("product.queue.retry_after", Texts, r#"["1s", "60s"]"#),
    key("product.passes", Section, "[product.passes]"),
    key("product.passes.keep", Switch, "true"),
    key("product.passes.idle", Duration, r#""10m""#),
    key("product.passes.longest", Duration, r#""30m""#),
    key("product.passes.hold", Duration, r#""2m""#),
    key("product.passes.customers", Number, "100000"),
];

/// The keys of the schedule.
pub const SCHEDULE: &[Key] = &[
    key("event", Sections, "[[event]]"),
    key("event.id", Text, r#""solvalla-5""#),
    key("event.product", Text, r#""horse-racing""#),
    key("event.stop", Time, "2024-08-24T16:20:00+02:00"),
    key("event.believed_before_stop", Duration, r#""2m""#),
    key("event.margin", Duration, r#""5s""#),
    key("event.name", Text, r#""Solvalla, race 5""#),
];

/// The configuration.
pub(crate) const CONFIG_FILE: Reference =
    Reference { what: "configuration", keys: CONFIG, page: "docs/configuration.md" };

/// The schedule file. Its products are those of the configuration.
pub(crate) const SCHEDULE_FILE: Reference = Reference { keys: SCHEDULE, ..CONFIG_FILE };

/// What somebody may have meant by `word`: the nearest of `words`, if one is near.
pub(crate) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = words.into_iter().map(|known| (distance(word, known), known)).min_by_key(|(distance, _)| *distance)?;
    (near.0 <= (word.len() / 3).max(1)).then_some(near.1)
}

/// How many letters must be put in, taken out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (letters(a), letters(b));
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Case and the kind of dash are not worth a difference. Nobody means a key by more than a line.
fn letters(word: &str) -> Vec<char> {
    word.chars().take(80).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}
