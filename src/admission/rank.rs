//! The lines of a product, in the order in which they are served.
//!
//! A class says what is asked for; a rank also says who asks. Whoever is in the middle of a journey goes before those who
//! have yet to begin one, whatever they ask for: a journey is worth something only when it is finished. And a bet whose
//! betting stop is near goes before all others, whoever places it, for a moment later it is worth nothing.

use super::Class;

/// See the [module](self). Earlier goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rank {
    Protected,
    Settle,
    /// Bets whose stop is so near that they cannot wait as others do: earliest stop first.
    NearStop,
    Commit,
    Continue,
    Start,
    /// The same of customers who hold no pass: whoever was promised a turn first goes first.
    NewCommit,
    NewContinue,
    NewStart,
    Read,
    Background,
}

impl Rank {
    pub(crate) const COUNT: usize = 11;
    pub(crate) const ALL: [Rank; Rank::COUNT] = [
        Rank::Protected,
        Rank::Settle,
        Rank::NearStop,
        Rank::Commit,
        Rank::Continue,
        Rank::Start,
        Rank::NewCommit,
        Rank::NewContinue,
        Rank::NewStart,
        Rank::Read,
        Rank::Background,
    ];
    /// Those before this one are served from a reserve.
    pub(crate) const FIRST_WITHOUT_RESERVE: Rank = Rank::NearStop;

    /// Of somebody who holds a pass, or asks for what needs none.
    pub(crate) const fn of(class: Class) -> Rank {
        match class {
            Class::Protected => Rank::Protected,
            Class::Settle => Rank::Settle,
            Class::Commit => Rank::Commit,
            Class::Continue => Rank::Continue,
            Class::Start => Rank::Start,
            Class::Read => Rank::Read,
            Class::Background => Rank::Background,
        }
    }

    /// Of somebody who holds no pass.
    pub(crate) const fn of_newcomer(class: Class) -> Rank {
        match class {
            Class::Commit => Rank::NewCommit,
            Class::Continue => Rank::NewContinue,
            Class::Start => Rank::NewStart,
            Class::Protected | Class::Settle | Class::Read | Class::Background => Rank::of(class),
        }
    }

    /// The ranks in which requests of a class may wait.
    pub(crate) fn all_of(class: Class) -> impl Iterator<Item = Rank> {
        Rank::ALL.into_iter().filter(move |rank| rank.class() == class)
    }

    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    pub(crate) const fn class(self) -> Class {
        match self {
            Rank::Protected => Class::Protected,
            Rank::Settle => Class::Settle,
            Rank::NearStop | Rank::Commit | Rank::NewCommit => Class::Commit,
            Rank::Continue | Rank::NewContinue => Class::Continue,
            Rank::Start | Rank::NewStart => Class::Start,
            Rank::Read => Class::Read,
            Rank::Background => Class::Background,
        }
    }

    pub(crate) const fn is_newcomers(self) -> bool {
        matches!(self, Rank::NewCommit | Rank::NewContinue | Rank::NewStart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_knows_its_class_and_newcomers_come_after_every_step_of_a_journey() {
        for (index, rank) in Rank::ALL.into_iter().enumerate() {
            assert_eq!(rank.index(), index);
            assert!(Rank::all_of(rank.class()).any(|other| other == rank));
        }
        for class in Class::ALL {
            assert_eq!((Rank::of(class).class(), Rank::of_newcomer(class).class()), (class, class));
            assert_eq!(Rank::of_newcomer(class).is_newcomers(), class.is_of_a_journey());
            let reserved = Rank::of(class) < Rank::FIRST_WITHOUT_RESERVE;
            assert_eq!(reserved, class.passes_in_every_state());
        }
        let journey = Class::ALL.into_iter().filter(|class| class.is_of_a_journey());
        assert!(journey.map(Rank::of).all(|rank| rank < Rank::NewCommit));
        assert!(Rank::NewStart < Rank::Read);
    }
}
