//! What steers the answers that are ours.

use std::num::NonZeroU32;

use http::HeaderValue;
use jiff::tz::TimeZone;

/// Which scripts of other origins may read our answers, and what their browsers are told before they ask.
#[derive(Clone, Debug)]
pub struct CorsSettings {
    /// Whose scripts they may be.
    pub origins: Origins,
    /// Whether they may send cookies along; never with [`Origins::Any`].
    pub credentials: bool,
    /// Methods they may use, as the header has them.
    pub methods: HeaderValue,
    /// Headers they may set, as the header has them; empty for none but those that need no leave.
    pub headers: HeaderValue,
    /// How many seconds a browser need not ask again.
    pub max_age: NonZeroU32,
}

/// Whose scripts may read our answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// Anybody's.
    Any,
    /// Those of these origins, as browsers write them.
    Listed(Vec<HeaderValue>),
}

/// What people see who navigate to a refusal or a fault.
#[derive(Clone, Debug)]
pub struct PageSettings {
    /// The language of those who ask for none that we have.
    pub language: Language,
    /// The zone in which the time to come back is told.
    pub time_zone: TimeZone,
    /// Links on every page: help, self-exclusion, responsible gambling.
    pub links: Vec<Link>,
}

impl Default for PageSettings {
    fn default() -> Self {
        PageSettings { language: Language::Swedish, time_zone: PageSettings::stockholm(), links: Vec::new() }
    }
}

impl PageSettings {
    /// The default zone, for which no database of zones is needed.
    pub fn stockholm() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("the rule of central Europe since 1996")
    }
}

/// A link on every page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub href: String,
    /// What it is called, by [`Language::index`].
    pub text: [String; Language::COUNT],
}

/// A language that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Svenska.
    Swedish,
    /// English.
    English,
}

impl Language {
    /// How many there are.
    pub const COUNT: usize = 2;
    /// Every language.
    pub const ALL: [Language; Language::COUNT] = [Language::Swedish, Language::English];

    /// The place in [`Language::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its tag in headers, pages and the configuration.
    pub const fn tag(self) -> &'static str {
        match self {
            Language::Swedish => "sv",
            Language::English => "en",
        }
    }
}
