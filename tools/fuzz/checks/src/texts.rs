//! Small texts: ids, times, cursors, words. What parses prints as it was meant, and what is
//! printed parses to the same.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use tercet_wire::{
    BranchId, BranchStatus, EventKind, Gid, GidPrefix, Instance, ListPlace, ListQuery, Op, Pattern,
    ProblemCode, Reason, ResolvedAs, Status, TryBy, Wall,
};

use crate::choices::Choices;

/// A number for times, then text.
pub(crate) fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let number = choices.number();
    let Ok(text) = std::str::from_utf8(choices.rest()) else { return };
    exact::<Gid>(text);
    exact::<BranchId>(text);
    exact::<Status>(text);
    exact::<BranchStatus>(text);
    exact::<Reason>(text);
    exact::<EventKind>(text);
    exact::<Pattern>(text);
    exact::<ResolvedAs>(text);
    exact::<TryBy>(text);
    exact::<Op>(text);
    exact::<ProblemCode>(text);
    stable::<Instance>(text);
    check_time(Wall(number));
    if let Ok(time) = text.parse::<Wall>() {
        check_time(time);
    }
    if let Ok(gid) = text.parse() {
        let (place, list) = (ListPlace { created_at: Wall(number), gid }, ListQuery::all(1));
        assert_eq!(list.place(&list.cursor(&place)), Ok(place));
    }
    // Whatever comes as one is read or refused.
    let _ = ListQuery::all(1).place(text);
    if let Ok(prefix) = text.parse::<GidPrefix>() {
        assert!(text == prefix.as_str() && text < prefix.end().as_str());
    }
}

/// There is one way to write it.
fn exact<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}

/// What is printed parses to the same, and prints the same.
fn stable<T: FromStr<Err: Debug> + Display + PartialEq + Debug>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let printed = value.to_string();
    let again: T = printed.parse().expect("what is printed can be read");
    assert_eq!((&again, again.to_string()), (&value, printed), "{text}");
}

/// Times that can be shown are shown exactly; all others as the nearest that can.
fn check_time(time: Wall) {
    let shown = time.to_string();
    assert_eq!(shown.parse(), Ok(time.clamp(Wall(0), Wall::MAX)), "{shown}");
    assert_eq!(shown.len(), "2026-11-20T12:00:00.000Z".len(), "{shown}");
}
