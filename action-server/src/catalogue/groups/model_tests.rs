//! Groups against a model: whatever the file and the edits before it, a group's members are what its
//! definition says of the nodes that are defined.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proptest::prelude::*;

use super::{tests::build, *};
use crate::catalogue::{read_accepted, write_accepted};

/// A definition as the test makes it; `None` for one that no reader understands.
type Definition = Option<Vec<(char, Term)>>;

#[derive(Debug, Clone)]
enum Term {
    Range(u8, u8),
    Glob,
    Rank(u8),
    Group(u8),
    GroupGlob,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Definable {
    Absent,
    Rank(u8),
    Broken,
}

#[derive(Debug, Clone)]
struct File {
    nodes: Vec<Definable>,
    groups: Vec<Option<Definition>>,
}

const NODES: u8 = 6;
const GROUPS: u8 = 4;

fn file() -> impl Strategy<Value = File> {
    let node = prop_oneof![
        2 => Just(Definable::Absent),
        5 => (0..2_u8).prop_map(Definable::Rank),
        2 => Just(Definable::Broken),
    ];
    let term = prop_oneof![
        4 => (0..NODES, 0..3_u8).prop_map(|(first, more)| Term::Range(first, first + more)),
        1 => Just(Term::Glob),
        2 => (0..3_u8).prop_map(Term::Rank),
        3 => (0..GROUPS + 1).prop_map(Term::Group),
        1 => Just(Term::GroupGlob),
    ];
    let operator = proptest::sample::select(&[',', '!', '&', '^'][..]);
    let terms = proptest::collection::vec((operator, term), 1..4);
    let definition = prop_oneof![6 => terms.prop_map(Some), 1 => Just(None)];
    let group = proptest::option::weighted(0.8, definition);
    (
        proptest::collection::vec(node, usize::from(NODES)),
        proptest::collection::vec(group, usize::from(GROUPS)),
    )
        .prop_map(|(nodes, groups)| File { nodes, groups })
}

impl File {
    fn text(&self) -> String {
        let mut text = String::from("__groups__:\n  unused: n0\n");
        for (at, group) in self.groups.iter().enumerate() {
            match group {
                Some(Some(terms)) => text += &format!("  g{at}: \"{}\"\n", set(terms)),
                Some(None) => text += &format!("  g{at}: \"n[0\"\n"),
                None => {}
            }
        }
        for (at, node) in self.nodes.iter().enumerate() {
            match node {
                Definable::Absent => {}
                Definable::Rank(rank) => text += &format!("n{at}: {{ranks: r{rank}}}\n"),
                Definable::Broken => text += &format!("n{at}: [x]\n"),
            }
        }
        text
    }
}

fn set(terms: &[(char, Term)]) -> String {
    let mut text = String::new();
    for (at, (operator, term)) in terms.iter().enumerate() {
        if at > 0 {
            text.push(*operator);
        }
        text += &match term {
            Term::Range(first, last) => format!("n[{first}-{last}]"),
            Term::Glob => "n*".to_owned(),
            Term::Rank(rank) => format!("rank=r{rank}"),
            Term::Group(group) => format!("@g{group}"),
            Term::GroupGlob => "@g*".to_owned(),
        };
    }
    text
}

/// What the model knows: the last good definitions, of which some are broken now.
#[derive(Debug, Clone, Default)]
struct Model {
    ranks: BTreeMap<u8, u8>,
    broken: BTreeSet<u8>,
    current: BTreeMap<u8, Definition>,
    last_good: BTreeMap<u8, Vec<(char, Term)>>,
}

/// Whether a node is a member, by its last good definition and for certain.
type Membership = (bool, Option<bool>);

impl Model {
    fn edit(&mut self, file: &File) {
        self.broken.clear();
        for (at, node) in (0_u8..).zip(&file.nodes) {
            match node {
                Definable::Absent => _ = self.ranks.remove(&at),
                Definable::Rank(rank) => _ = self.ranks.insert(at, *rank),
                Definable::Broken => {
                    if self.ranks.contains_key(&at) {
                        self.broken.insert(at);
                    }
                }
            }
        }
        let groups = (0_u8..).zip(&file.groups);
        self.current = groups
            .filter_map(|(at, group)| Some((at, group.clone()?)))
            .collect();
        self.last_good
            .retain(|group, _| self.current.contains_key(group));
        for (group, definition) in &self.current {
            let is_good = (0..NODES).all(|node| self.strict(*group, node, &[]).is_some());
            if let (true, Some(terms)) = (is_good, definition) {
                self.last_good.insert(*group, terms.clone());
            }
        }
    }

    /// By the current definition; `None` where the group is broken.
    fn strict(&self, group: u8, node: u8, above: &[u8]) -> Option<Membership> {
        if above.contains(&group) {
            return None;
        }
        let above = [above, &[group]].concat();
        let terms = self.current.get(&group)?.as_ref()?;
        self.terms(terms, group, node, &|other| {
            self.strict(other, node, &above)
        })
    }

    /// For runs: by the last good definition where the current one is broken.
    fn lenient(&self, group: u8, node: u8, above: &[u8]) -> Option<Membership> {
        if let Some(member) = self.strict(group, node, &[]) {
            return Some(member);
        }
        if above.contains(&group) {
            return None;
        }
        let above = [above, &[group]].concat();
        let terms = self.last_good.get(&group)?;
        self.terms(terms, group, node, &|other| {
            self.lenient(other, node, &above)
        })
    }

    fn terms(
        &self,
        terms: &[(char, Term)],
        own: u8,
        node: u8,
        group: &dyn Fn(u8) -> Option<Membership>,
    ) -> Option<Membership> {
        let mut sum = (false, Some(false));
        let mut all = terms.iter();
        let first = all.next().map(|(_, term)| (',', term));
        for (operator, term) in first.into_iter().chain(all.map(|(op, term)| (*op, term))) {
            let is = self.term(term, own, node, group)?;
            sum = (
                two_valued(operator, sum.0, is.0),
                three_valued(operator, sum.1, is.1),
            );
        }
        Some(sum)
    }

    fn term(
        &self,
        term: &Term,
        own: u8,
        node: u8,
        group: &dyn Fn(u8) -> Option<Membership>,
    ) -> Option<Membership> {
        let sure = |is| Some((is, Some(is)));
        match term {
            Term::Range(first, last) => sure((*first..=*last).contains(&node)),
            Term::Glob => sure(true),
            Term::Rank(rank) => {
                let is = self.ranks.get(&node) == Some(rank);
                Some((is, (!self.broken.contains(&node)).then_some(is)))
            }
            Term::Group(other) => group(*other),
            Term::GroupGlob => {
                let others: Vec<u8> = self
                    .current
                    .keys()
                    .copied()
                    .filter(|it| *it != own)
                    .collect();
                if others.is_empty() {
                    return None;
                }
                others
                    .into_iter()
                    .try_fold((false, Some(false)), |sum, other| {
                        let is = group(other)?;
                        Some((sum.0 || is.0, three_valued(',', sum.1, is.1)))
                    })
            }
        }
    }
}

fn two_valued(operator: char, left: bool, right: bool) -> bool {
    match operator {
        '!' => left && !right,
        '&' => left && right,
        '^' => left != right,
        _ => left || right,
    }
}

/// Certain where every way to settle what is uncertain comes to the same.
fn three_valued(operator: char, left: Option<bool>, right: Option<bool>) -> Option<bool> {
    let ways = |side: Option<bool>| side.map_or(vec![false, true], |is| vec![is]);
    let results = ways(left).into_iter().flat_map(|left| {
        ways(right)
            .into_iter()
            .map(move |right| two_valued(operator, left, right))
    });
    let results: BTreeSet<bool> = results.collect();
    (results.len() == 1).then(|| results.contains(&true))
}

fn node_number(name: &str) -> u8 {
    name[1..].parse().unwrap()
}

/// Compares what is built with the model, for every group.
fn check(nodes: &Nodes, model: &Model) -> Result<(), TestCaseError> {
    let defined: BTreeSet<u8> = nodes
        .list()
        .iter()
        .map(|it| node_number(&it.name))
        .collect();
    prop_assert_eq!(&defined, &model.ranks.keys().copied().collect());
    for group in 0..GROUPS {
        let set = format!("@g{group}");
        let memberships = |of: &dyn Fn(u8) -> Option<Membership>| {
            // With no node at all the model has nothing to ask about, and neither has the group.
            let all: Option<Vec<Membership>> = (0..NODES).map(of).collect();
            all.map(|all| {
                let here = nodes.list().iter();
                let here = here.map(|it| all[usize::from(node_number(&it.name))]);
                here.collect::<Vec<_>>()
            })
        };
        let is_defined = model.current.contains_key(&group);
        let strict = memberships(&|node| model.strict(group, node, &[]));
        let covered = nodes.cover(&set).ok();
        let expected = strict.filter(|_| is_defined).map(|all| {
            let sure: Vec<bool> = all.iter().map(|(_, is)| *is == Some(true)).collect();
            let possible: Vec<bool> = all.iter().map(|(_, is)| *is != Some(false)).collect();
            (sure, possible)
        });
        prop_assert_eq!(
            covered.map(|it| (it.sure, it.possible)),
            expected,
            "{}",
            set
        );
        let lenient = memberships(&|node| model.lenient(group, node, &[]));
        let expected = lenient.filter(|_| is_defined).map(|all| {
            let members = nodes.list().iter().zip(all).filter(|(_, (is, _))| *is);
            members
                .map(|(node, _)| node.name.clone())
                .collect::<Vec<_>>()
        });
        let selected = match nodes.select(&set, "", 100) {
            Ok(selected) => Some(selected.iter().map(|node| node.name.clone()).collect()),
            Err(SelectionError::SelectsNothing(_)) => Some(Vec::new()),
            Err(_) => None,
        };
        prop_assert_eq!(selected, expected, "{}", set);
    }
    Ok(())
}

/// The nodes as a server that starts now has them from the state directory.
fn kept(nodes: &Nodes) -> Nodes {
    let text = String::from_utf8(write_accepted(nodes).unwrap()).unwrap();
    let (file, faults) = read_accepted(Path::new("nodes.json"), &text).unwrap();
    assert_eq!(faults, []);
    Nodes::build(file, None, BTreeSet::new()).0
}

proptest! {
    /// After any edits, by a reload and by a start.
    #[test]
    fn members_are_what_the_definitions_say(files in proptest::collection::vec(file(), 1..4)) {
        let mut model = Model::default();
        let mut running: Option<Nodes> = None;
        for file in &files {
            model.edit(file);
            let text = file.text();
            let started = running.as_ref().map(kept);
            let (reloaded, faults) = build(&text, running.as_ref());
            let (started, start_faults) = build(&text, started.as_ref());
            prop_assert_eq!(faults, start_faults);
            check(&reloaded, &model)?;
            check(&started, &model)?;
            // A start without a nodes file that can be read has the same.
            check(&kept(&started), &model)?;
            prop_assert_eq!(write_accepted(&reloaded).unwrap(), write_accepted(&started).unwrap());
            prop_assert_eq!(write_accepted(&kept(&started)).unwrap(), write_accepted(&started).unwrap());
            running = Some(reloaded);
        }
    }
}
