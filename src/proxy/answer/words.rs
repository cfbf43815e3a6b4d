//! What people are told, in their language. One thing is said in the same words in a problem and on a page.

use super::telling::Telling;
use crate::admission::Refusal;
use crate::proxy::fault::{BadRequest, Fault};
use crate::proxy::settings::Language::{self, English, Swedish};

/// What the matter is: a heading, and a sentence or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) title: &'static str,
    pub(super) what: &'static str,
}

const fn words(title: &'static str, what: &'static str) -> Words {
    Words { title, what }
}

/// Said of a bet that was refused, or never sent.
pub(super) const fn not_placed(language: Language) -> &'static str {
    match language {
        Swedish => "Ditt spel lades inte och inga pengar har dragits.",
        English => "Your bet was not placed and no money was taken.",
    }
}

/// Said in a problem to whom a time is told; a page tells the time itself.
pub(super) fn come_back(telling: Telling, language: Language) -> Option<&'static str> {
    use Refusal::{NotYourTurn, ProxyOverloaded, QueueFull, WaitedTooLong};
    let told = match telling {
        Telling::Refusal { refusal, .. } => {
            matches!(refusal, QueueFull | NotYourTurn | WaitedTooLong | ProxyOverloaded)
        }
        Telling::Fault(fault) | Telling::NotSent(fault) => fault == Fault::OutOfDescriptors,
        Telling::UnknownOutcome => false,
    };
    told.then_some(match language {
        Swedish => "Kom tillbaka vid den tid som anges.",
        English => "Please come back at the time given.",
    })
}

pub(super) const fn of_refusal(refusal: Refusal, language: Language) -> Words {
    match language {
        Swedish => refusal_in_swedish(refusal),
        English => refusal_in_english(refusal),
    }
}

pub(super) const fn of_fault(fault: Fault, language: Language) -> Words {
    match language {
        Swedish => fault_in_swedish(fault),
        English => words(fault_title(fault), fault.detail()),
    }
}

/// The answer to a bet was lost.
pub(super) const fn of_unknown_outcome(language: Language) -> Words {
    match language {
        Swedish => words(
            "Okänt utfall",
            "Svaret på ditt spel försvann på vägen: det kan ha lagts, eller inte. Det kontrolleras. Titta bland dina \
             spel innan du lägger det igen.",
        ),
        English => words(
            "Outcome unknown",
            "The answer to your bet was lost on the way: it may have been placed, or not. It is being checked. Look \
             at your bets before you place it again.",
        ),
    }
}

const fn refusal_in_english(refusal: Refusal) -> Words {
    match refusal {
        Refusal::Closed => words("Closed", "This product is closed."),
        Refusal::Parked => words("Paused", "Betting is paused while we check something. It will go on; please wait."),
        Refusal::NoBackend => words("Out of service", "This service is down just now. It will be back; please wait."),
        Refusal::EventClosed => words("Betting closed", "Betting on this event has closed."),
        Refusal::EventParked => words(
            "Betting paused",
            "Betting on this event is paused while we check a signal. It may go on; please wait.",
        ),
        Refusal::PastBettingStop => words("Betting closed", "The betting stop of this event has passed."),
        Refusal::StopTooNear => {
            words("Too late", "The betting stop of this event is too near for a bet to be placed in time.")
        }
        Refusal::QueueFull => words("Very busy", "Many customers are here just now."),
        Refusal::NotYourTurn => words("Your turn is kept", "Others are before you. Your turn is kept."),
        Refusal::WaitedTooLong => words("Very busy", "It was not your turn in time."),
        Refusal::OverCustomerShare => {
            words("Too many at once", "You have many requests under way. Let some finish first.")
        }
        Refusal::TakenOver => {
            words("Asked again", "You have asked for the same again, and that newer request is waiting for you.")
        }
        Refusal::ShuttingDown => words("Restarting", "This server is restarting. Please try again at once."),
        Refusal::ProxyOverloaded => words("Very busy", "This server has more to do than it can."),
    }
}

const fn refusal_in_swedish(refusal: Refusal) -> Words {
    match refusal {
        Refusal::Closed => words("Stängt", "Den här delen är stängd."),
        Refusal::Parked => {
            words("Pausat", "Spelet är pausat medan vi kontrollerar en sak. Det fortsätter; vänta gärna kvar.")
        }
        Refusal::NoBackend => words("Ur drift", "Tjänsten ligger nere just nu. Den kommer tillbaka; vänta gärna kvar."),
        Refusal::EventClosed => words("Spelet har stängt", "Spelet på det här evenemanget har stängt."),
        Refusal::EventParked => words(
            "Spelet är pausat",
            "Spelet på det här evenemanget är pausat medan vi kontrollerar en signal. Det kan komma att fortsätta; \
             vänta gärna kvar.",
        ),
        Refusal::PastBettingStop => words("Spelet har stängt", "Spelstoppet för det här evenemanget har passerat."),
        Refusal::StopTooNear => {
            words("För sent", "Spelstoppet för det här evenemanget är så nära att ett spel inte hinner läggas.")
        }
        Refusal::QueueFull => words("Många är här just nu", "Det är många kunder här just nu."),
        Refusal::NotYourTurn => words("Din plats är sparad", "Andra är före dig. Din plats är sparad."),
        Refusal::WaitedTooLong => words("Många är här just nu", "Det blev inte din tur i tid."),
        Refusal::OverCustomerShare => {
            words("För mycket på en gång", "Du har många förfrågningar i gång. Låt några bli klara först.")
        }
        Refusal::TakenOver => {
            words("Frågat igen", "Du har frågat efter samma sak igen, och den nyare förfrågan väntar åt dig.")
        }
        Refusal::ShuttingDown => words("Startar om", "Den här servern startar om. Försök igen strax."),
        Refusal::ProxyOverloaded => {
            words("Många är här just nu", "Den här servern har mer att göra än den hinner med.")
        }
    }
}

const fn fault_title(fault: Fault) -> &'static str {
    match fault {
        Fault::BadRequest(_) => "Request not understood",
        Fault::NoProduct => "Not found",
        Fault::ClientTimeout => "Request not finished",
        Fault::Unreachable | Fault::BrokenAnswer | Fault::NoAnswer(_) => "Something went wrong here",
        Fault::OutOfDescriptors => "Very busy",
        Fault::KeyReused => "Key used before",
        Fault::AnsweredElsewhere => "Answered elsewhere",
        Fault::OutcomeUnknown => "Outcome unknown",
    }
}

const fn fault_in_swedish(fault: Fault) -> Words {
    match fault {
        Fault::BadRequest(bad) => words("Förfrågan gick inte att förstå", bad_request_in_swedish(bad)),
        Fault::NoProduct => words("Sidan finns inte", "Det finns inget på den här adressen."),
        Fault::ClientTimeout => words("Förfrågan blev inte klar", "Förfrågans innehåll kom inte fram i tid."),
        Fault::Unreachable => words("Något gick fel hos oss", "Tjänsten går inte att nå just nu."),
        Fault::BrokenAnswer => words("Något gick fel hos oss", "Tjänsten avbröt innan den hade svarat."),
        Fault::NoAnswer(_) => words("Något gick fel hos oss", "Tjänsten svarade inte i tid."),
        Fault::OutOfDescriptors => words("Många är här just nu", "Den här servern har mer att göra än den hinner med."),
        Fault::KeyReused => words(
            "Nyckeln är redan använd",
            "Den här idempotensnyckeln användes för en annan förfrågan. Den här skickades inte vidare; den andra gäller.",
        ),
        Fault::AnsweredElsewhere => {
            words("Besvarat på annat håll", "Det här besvarades på en annan anslutning. Titta efter där.")
        }
        Fault::OutcomeUnknown => words(
            "Okänt utfall",
            "Svaret på ett tidigare försök försvann på vägen: det kan ha utförts, eller inte. Det kontrolleras.",
        ),
    }
}

const fn bad_request_in_swedish(bad: BadRequest) -> &'static str {
    match bad {
        BadRequest::Host => "Förfrågan måste ha exakt ett Host-fält.",
        BadRequest::Target => "Förfrågan måste gälla en sökväg eller en http-adress.",
        BadRequest::LongTarget => "Adressen är för lång.",
        BadRequest::ManyHeaders => "Förfrågan har för många huvudrader.",
        BadRequest::LargeBody => "Förfrågans innehåll är för stort.",
        BadRequest::Upgrade => "Tunnlar (CONNECT) går inte igenom här.",
        BadRequest::Coding => "Den enda överföringskodning som förstås här är chunked.",
        BadRequest::Body => "Förfrågans innehåll bröts av, eller följer inte HTTP.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_told_in_two_languages_that_differ() {
        for refusal in Refusal::ALL {
            let [swedish, english] = Language::ALL.map(|language| of_refusal(refusal, language));
            assert!(swedish.title != english.title && swedish.what != english.what, "{refusal:?}");
            assert!(swedish.what.ends_with('.') && english.what.ends_with('.'), "{refusal:?}");
        }
    }
}
