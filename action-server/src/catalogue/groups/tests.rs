//! Groups against a model: whatever the file and the edits before it, a group's members are what its
//! definition says of the nodes that are defined.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proptest::prelude::*;

use super::*;
use crate::catalogue::{NodesFile, read_accepted, read_nodes, write_accepted};

fn read(text: &str) -> NodesFile {
    read_nodes(Path::new("nodes.yaml"), text).unwrap().0
}

fn build(text: &str, before: Option<&Nodes>) -> (Nodes, Vec<String>) {
    let (nodes, faults) = Nodes::build(read(text), before, BTreeSet::new());
    let line = |fault: GroupFault| {
        let kind = if fault.is_error { "error" } else { "warning" };
        format!("{kind}: {}", fault.reason)
    };
    (nodes, faults.into_iter().map(line).collect())
}

fn selected(nodes: &Nodes, set: &str) -> Result<String, String> {
    let selected = nodes.select(set, "", 100);
    let selected = selected.map_err(|error| error.to_string())?;
    Ok(action_proto::fold(
        selected.iter().map(|node| node.name.as_str()),
    ))
}

fn names(nodes: &Nodes, which: &[bool]) -> String {
    let all = nodes.list().iter().zip(which);
    action_proto::fold(
        all.filter(|(_, is)| **is)
            .map(|(node, _)| node.name.as_str()),
    )
}

/// What an allow rule grants, and what a deny rule denies.
fn covered(nodes: &Nodes, set: &str) -> Result<(String, String), String> {
    let coverage = nodes.cover(set).map_err(|error| error.to_string())?;
    Ok((
        names(nodes, &coverage.sure),
        names(nodes, &coverage.possible),
    ))
}

const CLUSTER: &str = "a1: {}\na2: {}\nhead1: {ranks: head}\nhead2: {ranks: head}\n";

#[test]
fn undefined_nodes_are_left_out_with_one_warning() {
    let text = format!(
        "__groups__: {{all: '@compute,x9,x[7-8]', compute: ['a[1-9]', 'b*', 'rank=gpu'], few: a1}}\n{CLUSTER}"
    );
    let (nodes, faults) = build(&text, None);
    assert_eq!(
        faults,
        [
            "warning: group compute: nodes that are not defined are left out: a[3-9],b*,rank=gpu",
            "warning: group all: nodes that are not defined are left out: x[7-9]"
        ]
    );
    assert_eq!(selected(&nodes, "@compute").as_deref(), Ok("a[1-2]"));
    assert_eq!(selected(&nodes, "@all").as_deref(), Ok("a[1-2]"));
    assert_eq!(covered(&nodes, "@all!a2").unwrap().0, "a1");
}

#[test]
fn an_empty_group_is_a_group() {
    for definition in ["[]", "''", "x1", "a1!a1", "'x*'", "rank=none"] {
        let text = format!("__groups__: {{none: {definition}, some: '@none,a1'}}\n{CLUSTER}");
        let (nodes, faults) = build(&text, None);
        assert!(
            faults.iter().all(|it| it.starts_with("warning")),
            "{faults:?}"
        );
        let error = selected(&nodes, "@none").unwrap_err();
        assert_eq!(
            error, "the node set \"@none\" selects no node",
            "{definition}"
        );
        assert_eq!(selected(&nodes, "@some").as_deref(), Ok("a1"));
        assert_eq!(selected(&nodes, "@n*,a1").as_deref(), Ok("a1"));
        let covered = covered(&nodes, "@none").unwrap();
        assert_eq!(covered, (String::new(), String::new()), "{definition}");
    }
}

#[test]
fn a_broken_group_is_unknown_to_rules_and_keeps_its_last_good_definition_for_runs() {
    let before = format!("__groups__: {{head: 'head[1-2]', top: '@head', old: a1}}\n{CLUSTER}");
    let (before, faults) = build(&before, None);
    assert_eq!(faults, [""; 0]);
    for (definition, reason) in [
        (
            "'head[1-3'",
            "cannot read the node set \"head[1-3\": [ without ]",
        ),
        ("'@nosuch'", "no such group: @nosuch"),
        (
            "'@head'",
            "it names @head, whose definition leads in a circle",
        ),
        (
            "'@top'",
            "it names @top, whose definition leads in a circle",
        ),
        (
            "'ip=1'",
            "cannot select by ip: the server's visible_metadata does not list it",
        ),
        (
            "{a: b}",
            "expected a node set, found a map; an empty group is []",
        ),
        (
            "",
            "expected a node set, found nothing; an empty group is []",
        ),
    ] {
        let text = format!(
            "__groups__: {{top: '@head', head: {definition}, new: '@head'}}\n{CLUSTER}head3: {{}}\n"
        );
        let (nodes, faults) = build(&text, Some(&before));
        assert_eq!(faults.len(), 3, "{faults:?}");
        let expected = format!(
            "error: group head is broken: {reason}; -g @head selects its last good definition, and rules and tokens that name it allow nothing or deny everything"
        );
        assert!(faults.contains(&expected), "{expected}\n{faults:?}");
        assert_eq!(selected(&nodes, "@head").as_deref(), Ok("head[1-2]"));
        assert_eq!(selected(&nodes, "@top").as_deref(), Ok("head[1-2]"));
        let error = selected(&nodes, "a1,@new").unwrap_err();
        assert!(
            error.starts_with("the group @new is broken: it names @head, "),
            "{error}"
        );
        assert_eq!(selected(&nodes, "@old").unwrap_err(), "no such group: @old");
        for set in ["@head", "@top", "a1!@head", "@h*", "@new"] {
            assert!(
                covered(&nodes, set).unwrap_err().contains("is broken"),
                "{set}"
            );
        }
        // Nothing else is touched.
        assert_eq!(covered(&nodes, "head[1-2]").unwrap().0, "head[1-2]");
        // The next edit mends it, or does not know it any more.
        let text = format!("__groups__: {{head: head1}}\n{CLUSTER}");
        assert_eq!(
            selected(&build(&text, Some(&nodes)).0, "@head").as_deref(),
            Ok("head1")
        );
        let error = selected(&build(CLUSTER, Some(&nodes)).0, "@head").unwrap_err();
        assert_eq!(error, "no such group: @head");
    }
}

#[test]
fn a_section_of_groups_that_cannot_be_read_breaks_them_all() {
    let before = format!("__groups__: {{head: 'head[1-2]'}}\n{CLUSTER}");
    let (before, _) = build(&before, None);
    for text in [
        format!("__groups__: [head]\n{CLUSTER}"),
        format!("__groups__: {{head: a1}}\n__groups__: {{head: a2}}\n{CLUSTER}"),
        format!("__groups__: {{head: a1, head: a2}}\n{CLUSTER}"),
    ] {
        let (nodes, _) = build(&text, Some(&before));
        assert_eq!(
            selected(&nodes, "@head").as_deref(),
            Ok("head[1-2]"),
            "{text}"
        );
        assert!(covered(&nodes, "@head").unwrap_err().contains("is broken"));
        let (nodes, _) = build(&text, None);
        assert!(selected(&nodes, "@head").is_err() && covered(&nodes, "@head").is_err());
    }
}

#[test]
fn a_node_whose_definition_is_broken_is_in_doubt_where_ranks_count() {
    let text = format!("__groups__: {{heads: rank=head}}\n{CLUSTER}");
    let (before, _) = build(&text, None);
    let edited = text
        .replace("a1: {}", "a1: [x]")
        .replace("head2: {ranks: head}", "head2: {PATH: x}");
    let (nodes, _) = build(&edited, Some(&before));
    assert_eq!(selected(&nodes, "rank=head").as_deref(), Ok("head[1-2]"));
    for (set, sure, possible) in [
        ("rank=head", "head1", "a1,head[1-2]"),
        ("@heads", "head1", "a1,head[1-2]"),
        ("@*!rank=head", "a2", "a[1-2],head2"),
        ("@*!@heads", "a2", "a[1-2],head2"),
        ("@heads,head2", "head[1-2]", "a1,head[1-2]"),
        ("@heads&head*", "head1", "head[1-2]"),
        ("@heads!a1", "head1", "head[1-2]"),
        ("a[1-2]^@heads", "a2,head1", "a[1-2],head[1-2]"),
        ("a1,head2", "a1,head2", "a1,head2"),
    ] {
        let expected = Ok((sure.to_owned(), possible.to_owned()));
        assert_eq!(covered(&nodes, set), expected, "{set}");
    }
}

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
