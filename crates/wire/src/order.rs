//! Which branches of a saga come before which.
//!
//! Each comes after those that it names, or after the one before it in the list; and so after all
//! that those come after. By their places in the list, since ids are compared once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ids::BranchId;
use crate::spec::BranchSpec;

/// The order of the branches of one saga.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Order {
    before: Vec<Places>,
    after: Vec<Places>,
}

/// Why branches have no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoOrder {
    /// One names itself.
    Itself { position: usize },
    /// One names what is no branch.
    Unknown { position: usize, id: BranchId },
    /// One comes after itself, by way of others.
    Circle {
        position: usize,
        /// The way back to it, each after the next; it is the first and the last.
        round: Vec<BranchId>,
    },
}

impl Order {
    /// That of these branches. Names of what is not there mean nothing.
    #[must_use]
    pub fn of(branches: &[Arc<BranchSpec>]) -> Self {
        let before = closed(direct(branches));
        let mut after = vec![Places::none(branches.len()); branches.len()];
        for (position, earlier) in before.iter().enumerate() {
            for place in earlier.iter() {
                after[place].add(position);
            }
        }
        Self { before, after }
    }

    /// That of branches that somebody asks for.
    pub(crate) fn check(branches: &[Arc<BranchSpec>]) -> Result<(), NoOrder> {
        let places = places(branches);
        for (position, branch) in branches.iter().enumerate() {
            for id in branch.after().into_iter().flatten() {
                match places.get(id) {
                    None => return Err(NoOrder::Unknown { position, id: id.clone() }),
                    Some(place) if *place == position => {
                        return Err(NoOrder::Itself { position });
                    }
                    Some(_) => {}
                }
            }
        }
        let direct = direct(branches);
        let before = closed(direct.clone());
        let circle = before.iter().enumerate().find(|(position, them)| them.has(*position));
        circle.map_or(Ok(()), |(position, _)| {
            let round = round(position, &direct);
            let round = round.into_iter().map(|place| branches[place].id.clone()).collect();
            Err(NoOrder::Circle { position, round })
        })
    }

    /// Those that come before the one at this place, all the way back.
    pub fn before(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        self.before.get(position).into_iter().flat_map(Places::iter)
    }

    /// Those that come after it, all the way on.
    pub fn after(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        self.after.get(position).into_iter().flat_map(Places::iter)
    }
}

fn places(branches: &[Arc<BranchSpec>]) -> BTreeMap<&BranchId, usize> {
    branches.iter().enumerate().map(|(place, branch)| (&branch.id, place)).collect()
}

/// The shortest way from this place back to it, each with one that comes right before it.
fn round(position: usize, direct: &[Places]) -> Vec<usize> {
    let mut came_from = BTreeMap::new();
    let mut reached = VecDeque::from([position]);
    while let Some(at) = reached.pop_front() {
        if direct[at].has(position) {
            let mut round = vec![position];
            let back = std::iter::successors(Some(at), |place| came_from.get(place).copied());
            round.extend(back.take_while(|place| *place != position));
            round.push(position);
            round.reverse();
            return round;
        }
        for next in direct[at].iter().filter(|next| *next != position) {
            came_from.entry(next).or_insert_with(|| {
                reached.push_back(next);
                at
            });
        }
    }
    vec![position]
}

/// Those that come right before each.
fn direct(branches: &[Arc<BranchSpec>]) -> Vec<Places> {
    let places = places(branches);
    let right_before = |(position, branch): (usize, &Arc<BranchSpec>)| {
        let mut before = Places::none(branches.len());
        match branch.after() {
            Some(after) => {
                after.iter().filter_map(|id| places.get(id)).for_each(|at| before.add(*at))
            }
            None => position.checked_sub(1).into_iter().for_each(|at| before.add(at)),
        }
        before
    };
    branches.iter().enumerate().map(right_before).collect()
}

/// And those before them (Warshall).
fn closed(mut before: Vec<Places>) -> Vec<Places> {
    for by_way_of in 0..before.len() {
        let further = before[by_way_of].clone();
        for them in before.iter_mut().filter(|them| them.has(by_way_of)) {
            them.add_all(&further);
        }
    }
    before
}

/// Places in a list, a bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Places(Vec<u64>);

impl Places {
    fn none(of: usize) -> Self {
        Self(vec![0; of.div_ceil(64)])
    }

    fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn add_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(word, other)| *word |= other);
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(number, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                usize::try_from(bit).ok().map(|bit| number * 64 + bit)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BranchRequest;
    use crate::request::{Limits, check_branch};

    /// Branches `b0`, `b1`, … of which each names what comes before it, or nothing.
    fn branches(after: &[Option<&[usize]>]) -> Vec<Arc<BranchSpec>> {
        let branch = |(position, after): (usize, &Option<&[usize]>)| {
            let names = |after: &&[usize]| after.iter().map(|at| format!("b{at}")).collect();
            let request = BranchRequest {
                id: Some(format!("b{position}")),
                endpoint: Some("http://h:1/a".to_owned()),
                after: after.as_ref().map(names),
                ..BranchRequest::default()
            };
            Arc::new(check_branch(request, &Limits::default()).expect("a branch"))
        };
        after.iter().enumerate().map(branch).collect()
    }

    fn all(of: impl Iterator<Item = usize>) -> Vec<usize> {
        of.collect()
    }

    #[test]
    fn without_a_word_each_comes_after_the_one_before_it_in_the_list() {
        let order = Order::of(&branches(&[None, None, None]));
        assert_eq!((all(order.before(0)), all(order.after(0))), (vec![], vec![1, 2]));
        assert_eq!((all(order.before(2)), all(order.after(2))), (vec![0, 1], vec![]));
    }

    #[test]
    fn a_diamond_is_one_whatever_the_order_in_the_list() {
        // 3 before 1 and 2, which come before 0.
        let order = Order::of(&branches(&[Some(&[1, 2]), Some(&[3]), Some(&[3]), Some(&[])]));
        assert_eq!(all(order.before(0)), [1, 2, 3]);
        assert_eq!(all(order.before(1)), [3]);
        assert_eq!(all(order.after(3)), [0, 1, 2]);
        assert_eq!(all(order.after(1)), [0]);
    }

    #[test]
    fn what_comes_after_itself_has_no_order() {
        let check = |after: &[Option<&[usize]>]| Order::check(&branches(after));
        assert_eq!(check(&[None, None]), Ok(()));
        assert_eq!(check(&[Some(&[1]), Some(&[])]), Ok(()));
        assert_eq!(check(&[Some(&[0])]), Err(NoOrder::Itself { position: 0 }));
        let id = "b7".parse().expect("an id");
        assert_eq!(check(&[None, Some(&[7])]), Err(NoOrder::Unknown { position: 1, id }));
        // 1 comes after 0 by its place.
        let circle = |position, round: &[&str]| {
            let round = round.iter().map(|id| id.parse().expect("an id")).collect();
            Err(NoOrder::Circle { position, round })
        };
        assert_eq!(check(&[Some(&[1]), None]), circle(0, &["b0", "b1", "b0"]));
        // What only comes after a circle is not in it.
        let told = check(&[Some(&[2]), Some(&[2]), Some(&[3]), Some(&[2])]);
        assert_eq!(told, circle(2, &["b2", "b3", "b2"]));
        // The shortest way back is told, and none that ends in another circle.
        let told = check(&[Some(&[1]), Some(&[2, 3]), Some(&[1]), Some(&[4, 0]), Some(&[0])]);
        assert_eq!(told, circle(0, &["b0", "b1", "b3", "b0"]));
    }

    #[test]
    fn a_chain_of_more_than_a_word_of_bits_is_a_chain() {
        let order = Order::of(&branches(&[None; 130]));
        assert_eq!(order.before(129).count(), 129);
        assert_eq!(order.after(0).count(), 129);
        assert_eq!(all(order.before(65)).last(), Some(&64));
    }
}
