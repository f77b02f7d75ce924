//! The rules a participant keeps.

use std::fmt;

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $promise:literal;)+) => {
        /// A rule of the contract between the coordinator and a participant.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $promise] $variant),+
        }

        impl Rule {
            /// Every rule, in the order in which they are checked.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name: stable, for programs.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it asks, in a sentence.
            #[must_use]
            pub fn promise(self) -> &'static str {
                match self { $(Self::$variant => $promise),+ }
            }
        }
    };
}

rules! {
    TryReserves = "try-reserves", "A Try that is done reserves something, and the balances show it.";
    CancelReleases = "cancel-releases", "A Cancel leaves everything as it was before its Try.";
    ConfirmTakes = "confirm-takes", "A Confirm takes what its Try reserved, and the balances show it.";
    Sums = "sums", "Sums that are conserved stay the same, and nothing reserved falls below zero.";
    RepeatedTry = "repeated-try", "A repeated Try is answered like the first and reserves nothing more.";
    RepeatedConfirm = "repeated-confirm", "A repeated Confirm is answered like the first and takes nothing more.";
    RepeatedCancel = "repeated-cancel", "A repeated Cancel is answered like the first and releases nothing more.";
    EmptyCancel = "empty-cancel", "A Cancel whose Try never came is acknowledged and releases nothing.";
    HangingTry = "hanging-try", "A Try that comes after its Cancel is refused and reserves nothing.";
    TryAfterConfirm = "try-after-confirm", "A Try that comes again after its Confirm reserves nothing.";
    ConfirmWithoutTry = "confirm-without-try", "A Confirm whose Try never came is not acknowledged and takes nothing.";
    ConfirmAfterCancel = "confirm-after-cancel", "A Confirm of a cancelled branch is not acknowledged and takes nothing.";
    CancelAfterConfirm = "cancel-after-confirm", "A Cancel of a confirmed branch is not acknowledged and gives nothing back.";
    RefusedTry = "refused-try", "A refused Try reserves nothing, and its Cancel is acknowledged and releases nothing.";
    AttemptIsAHint = "attempt-is-a-hint", "Tercet-Attempt changes nothing: it may repeat, skip or be missing.";
    UnknownHeaders = "unknown-headers", "Headers that the participant does not know change nothing.";
    MissingHeaders = "missing-headers", "A call that does not say which branch it is for is not done.";
    OnlySigned = "only-signed", "A call that is not signed by the secret around now is not done.";
    OtherBranch = "other-branch", "Branches of one transaction are separate.";
    SimilarGids = "similar-gids", "Ids are compared as a whole and to the byte.";
    SecondInstance = "second-instance", "A gid used again is another transaction: it never touches, and is never taken for, the first.";
    LostAnswers = "lost-answers", "A caller who hangs up before the answer changes nothing about the outcome.";
    RacingTries = "racing-tries", "Of the same Try several times at once, one reserves.";
    RacingConfirms = "racing-confirms", "Of the same Confirm several times at once, one takes.";
    RacingCancels = "racing-cancels", "Of the same Cancel several times at once, one releases.";
    TryRacingCancel = "try-racing-cancel", "A Cancel at the same time as its Try leaves nothing reserved.";
    ConfirmRacingCancel = "confirm-racing-cancel", "Of a Confirm and a Cancel at once, one is done and the other is not.";
    BranchesAtOnce = "branches-at-once", "Calls of different branches at once do not lose each other's changes.";
    AnyOrder = "any-order", "Whatever order calls come in, repeated, at once or lost: the answers and balances have an explanation.";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
