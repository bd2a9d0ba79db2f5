//! What the family of a dataflow says about its subject: the dataflow that it is a part of, and those whose ids begin
//! alike.
//!
//! Many names have no subject ("Sicily", "by sex and age"). Their ids show where they belong: `24_186_DF_1` is a part of
//! the dataflow `24_186`, and a sibling of `24_7`.
//!
//! - The *parent* is the dataflow of the same agency with the longest id that is a proper prefix of the id and ends
//!   before a separator. The points of its texts are added.
//! - *Siblings* are the other dataflows of the catalogue with the same first token of the id, if there are at least
//!   [`FEWEST`] with it and they are at most 60 % of the catalogue: a token that nearly all have says nothing. They add
//!   points if most of theirs agree.
//!
//! Several definitions with the same agency and id are one dataflow, of which the first counts.
//! Shares are integers, so that a sum without a member is exact and the order of dataflows has no effect.

use std::collections::HashMap;

use crate::Category;
use crate::points::Points;

/// The fewest dataflows that are siblings.
pub const FEWEST: usize = 3;
/// The most of the catalogue that siblings may be, in percent.
const MOST_PERCENT: usize = 60;
/// The points that siblings add if all their points are for one category.
const WEIGHT: f64 = 40.0;
/// The share of the siblings' points for one category from which they add points.
const THRESHOLD: f64 = 0.5;
/// Added to the points of a sibling, so that one with little evidence says little.
const SMOOTHING_TENTHS: u64 = 40;
/// The number that stands for a share of 1. The points of all keywords that a set can have are below 2^42 tenths, so that
/// their product fits 64 bits; the sum of 2^44 members does.
const WHOLE: u64 = 1 << 20;

/// A dataflow of a catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// Its agency.
    pub agency: &'a str,
    /// Its id.
    pub id: &'a str,
    /// The points of its texts.
    pub points: &'a Points,
}

/// What the families of one dataflow add.
#[derive(Debug, Clone, PartialEq)]
pub struct Support<'a> {
    /// The points for each category.
    pub points: [f64; Category::ALL.len()],
    parent: Option<Contribution<'a>>,
    siblings: Option<Contribution<'a>>,
}

/// A family, as evidence names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family<'a> {
    /// The id of the parent, or the first token of the ids of siblings.
    pub key: &'a str,
    /// The dataflows in it: the parent and its parts, or all siblings, with the dataflow itself.
    pub members: usize,
}

/// What one family adds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Contribution<'a> {
    family: Family<'a>,
    points: [f64; Category::ALL.len()],
}

/// The sum of the shares of some dataflows.
type Shares = [u64; Category::ALL.len()];

/// All dataflows with one first token.
#[derive(Debug)]
struct Siblings<'a> {
    token: &'a str,
    count: usize,
    shares: Shares,
}

/// All siblings, while they are found.
#[derive(Debug, Default)]
struct Groups<'a> {
    groups: Vec<Siblings<'a>>,
    by_token: HashMap<&'a str, usize>,
}

/// How a definition relates to others.
#[derive(Debug, Clone, Copy)]
struct Relations {
    /// The index of the dataflow's first definition.
    first: usize,
    /// The index of the parent's first definition.
    parent: Option<usize>,
    /// The index in `siblings` of those with its first token.
    siblings: Option<usize>,
}

/// The families of each dataflow of a catalogue.
#[derive(Debug)]
pub struct Families<'a> {
    members: Vec<Member<'a>>,
    relations: Vec<Relations>,
    /// The number of parts of each dataflow, by the index of its first definition.
    parts: Vec<usize>,
    siblings: Vec<Siblings<'a>>,
    /// Dataflows, each counted once.
    total: usize,
}

// === impl Families ===

impl<'a> Families<'a> {
    /// Finds the families. Needs the time to sort the ids, and about 100 bytes per dataflow.
    #[must_use]
    pub fn new(members: Vec<Member<'a>>) -> Self {
        let mut order: Vec<usize> = (0..members.len()).collect();
        let identity = |index: usize| (members[index].agency, members[index].id);
        // The first definition comes first.
        order.sort_unstable_by_key(|index| (identity(*index), *index));
        let mut relations = vec![Relations { first: 0, parent: None, siblings: None }; members.len()];
        let (mut parts, mut siblings, mut total) = (vec![0; members.len()], Groups::default(), 0);
        // Ids that begin alike are adjacent, and a prefix comes before what it is a prefix of.
        let mut prefixes: Vec<usize> = Vec::new();
        for &index in &order {
            let (agency, id) = identity(index);
            while prefixes
                .pop_if(|&mut last| !(members[last].agency == agency && id.starts_with(members[last].id)))
                .is_some()
            {}
            if let Some(&last) = prefixes.last().filter(|last| members[**last].id == id) {
                relations[index] = relations[last];
                continue;
            }
            let parent =
                prefixes.iter().rev().copied().find(|&prefix| ends_before_separator(members[prefix].id, id));
            if let Some(parent) = parent {
                parts[parent] += 1;
            }
            let siblings = first_token(id).map(|token| siblings.add(token, &shares(members[index].points)));
            relations[index] = Relations { first: index, parent, siblings };
            prefixes.push(index);
            total += 1;
        }
        Self { members, relations, parts, siblings: siblings.groups, total }
    }

    /// What the families of the dataflow with this index add; `None` if they add nothing.
    #[must_use]
    pub fn support(&self, index: usize) -> Option<Support<'a>> {
        let (parent, siblings) = (self.parent(index), self.siblings(index));
        let mut points = [0.0; Category::ALL.len()];
        for added in parent.iter().chain(&siblings) {
            points.iter_mut().zip(added.points).for_each(|(sum, added)| *sum += added);
        }
        (parent.is_some() || siblings.is_some()).then_some(Support { points, parent, siblings })
    }

    fn parent(&self, index: usize) -> Option<Contribution<'a>> {
        let parent = self.relations[index].parent?;
        let Member { id, points, .. } = self.members[parent];
        let points = Category::ALL.map(|category| points.of(category));
        let family = Family { key: id, members: 1 + self.parts[parent] };
        points.iter().any(|points| *points > 0.0).then_some(Contribution { family, points })
    }

    fn siblings(&self, index: usize) -> Option<Contribution<'a>> {
        let Relations { first, siblings, .. } = self.relations[index];
        let (member, group) = (self.members[first], &self.siblings[siblings?]);
        if group.count < FEWEST || group.count * 100 > self.total * MOST_PERCENT {
            return None;
        }
        let own = shares(member.points);
        let others: Shares = std::array::from_fn(|category| group.shares[category] - own[category]);
        let (top, sum) = (others.iter().max().copied().unwrap_or(0), others.iter().sum::<u64>());
        if sum == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "shares need no 53 bits")]
        let (agreement, mean) = {
            let whole = WHOLE as f64 * (group.count - 1) as f64;
            (top as f64 / sum as f64, others.map(|share| share as f64 / whole))
        };
        let weight = WEIGHT * ((agreement - THRESHOLD) / (1.0 - THRESHOLD)).max(0.0);
        let family = Family { key: group.token, members: group.count };
        (weight > 0.0).then(|| Contribution { family, points: mean.map(|share| weight * share) })
    }
}

// === impl Groups ===

impl<'a> Groups<'a> {
    /// Adds a dataflow with these shares. Returns the index of its group.
    fn add(&mut self, token: &'a str, shares: &Shares) -> usize {
        // Ids that begin alike follow one another.
        let group = match self.groups.last() {
            Some(last) if last.token == token => self.groups.len() - 1,
            _ => *self.by_token.entry(token).or_insert_with(|| {
                self.groups.push(Siblings { token, count: 0, shares: Shares::default() });
                self.groups.len() - 1
            }),
        };
        self.groups[group].count += 1;
        add(&mut self.groups[group].shares, shares);
        group
    }
}

// === impl Support ===

impl<'a> Support<'a> {
    /// The families that add points to a category: the parent, then the siblings.
    pub fn families(&self, category: Category) -> impl Iterator<Item = Family<'a>> {
        let adds = move |added: &Contribution<'_>| added.points[category.index()] > 0.0;
        [self.parent, self.siblings].into_iter().flatten().filter(adds).map(|added| added.family)
    }
}

/// Whether an id goes on with a separator after this prefix.
fn ends_before_separator(prefix: &str, id: &str) -> bool {
    // An id that ends between two separators, or that is empty, names no part of this one.
    id[prefix.len()..].starts_with(is_separator) && prefix.ends_with(char::is_alphanumeric)
}

/// The first run of letters and digits of an id.
fn first_token(id: &str) -> Option<&str> {
    id.split(is_separator).find(|token| !token.is_empty())
}

fn is_separator(c: char) -> bool {
    !c.is_alphanumeric()
}

/// The share of each category in the points of a dataflow.
fn shares(points: &Points) -> Shares {
    let tenths = Category::ALL.map(|category| points.tenths(category));
    let whole = tenths.iter().sum::<u64>() + SMOOTHING_TENTHS;
    tenths.map(|tenths| if tenths == 0 { 0 } else { tenths.saturating_mul(WHOLE) / whole })
}

fn add(sum: &mut Shares, more: &Shares) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

#[cfg(test)]
mod tests;
