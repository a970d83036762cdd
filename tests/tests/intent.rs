//! What was asked for, what the plan shows and what runs are the same nodes: random nodes files,
//! groups and node sets, against a model that knows nothing of how the server does it.

use std::collections::{BTreeMap, BTreeSet};

use action_proto::v1::{PlanRunRequest, RunCommandRequest};
use action_tests::{Chance, Site, on, rounds};

pub(crate) struct Model {
    pub(crate) nodes: Vec<String>,
    groups: BTreeMap<String, String>,
}

impl Model {
    pub(crate) fn random(chance: &mut Chance) -> Model {
        let stems = ["n", "n0", "rack-", "a1b", "N"];
        let mut nodes = BTreeSet::new();
        for _ in 0..4 + chance.below(12) {
            let stem = stems[chance.below(5) as usize];
            let number = chance.below(13);
            nodes.insert(match chance.below(4) {
                0 => format!("{stem}{number:02}"),
                1 => format!("{stem}{number}-ib{}", chance.below(2)),
                _ => format!("{stem}{number}"),
            });
        }
        let mut model = Model {
            nodes: nodes.into_iter().collect(),
            groups: BTreeMap::new(),
        };
        for name in ["g1", "g2", "h1"] {
            let set = model.set(chance, false);
            model.groups.insert(name.to_owned(), set);
        }
        model
    }

    /// A node set of the grammar.
    pub(crate) fn set(&self, chance: &mut Chance, with_groups: bool) -> String {
        let mut text = self.term(chance, with_groups);
        for _ in 0..chance.below(3) {
            text.push([',', '!', '&', '^'][chance.below(4) as usize]);
            text += &self.term(chance, with_groups);
        }
        text
    }

    fn term(&self, chance: &mut Chance, with_groups: bool) -> String {
        let node = self.nodes[chance.below(self.nodes.len() as u64) as usize].clone();
        let (low, high) = (chance.below(6), 6 + chance.below(7));
        match chance.below(if with_groups { 9 } else { 7 }) {
            0 => node,
            1 => format!("n[{low}-{high}]*"),
            2 => format!("?[0-{high}]"),
            3 => format!("rack-[{low}-{high}/2]*"),
            4 => format!("*[{low:02}-{high:02}]"),
            5 => format!("n[{low},{high}]-ib[0-1]"),
            6 => format!("{}*", &node[..1]),
            7 => "@g[1-2]".to_owned(),
            _ => "@?1".to_owned(),
        }
    }

    /// The nodes of a set; `None` where it is strict and a term matches nothing.
    pub(crate) fn select(&self, text: &str, is_strict: bool) -> Option<BTreeSet<String>> {
        let mut selected = BTreeSet::new();
        let (mut operator, mut rest) = (',', text);
        loop {
            let (term, more) = cut(rest);
            let (members, is_whole) = self.members(term);
            if is_strict && !is_whole {
                return None;
            }
            match operator {
                ',' => selected.extend(members),
                '!' => selected.retain(|name| !members.contains(name)),
                '&' => selected.retain(|name| members.contains(name)),
                _ => selected = selected.symmetric_difference(&members).cloned().collect(),
            }
            match more.chars().next() {
                Some(next) => (operator, rest) = (next, &more[1..]),
                None => return Some(selected),
            }
        }
    }

    /// The nodes that a term stands for, and whether all that it names is there.
    fn members(&self, term: &str) -> (BTreeSet<String>, bool) {
        if let Some(group) = term.strip_prefix('@') {
            let patterns = expanded(group);
            let named = |name: &str| patterns.iter().any(|pattern| fits(pattern, name));
            let sets = self.groups.iter().filter(|(name, _)| named(name));
            let sets: Vec<_> = sets.map(|(_, set)| self.select(set, false)).collect();
            let is_whole = !sets.is_empty();
            return (sets.into_iter().flatten().flatten().collect(), is_whole);
        }
        let patterns = expanded(term);
        let is_member = |name: &&String| patterns.iter().any(|pattern| fits(pattern, name));
        let members: BTreeSet<_> = self.nodes.iter().filter(is_member).cloned().collect();
        let is_whole = match term.contains(['*', '?']) {
            true => !members.is_empty(),
            false => members.len() == patterns.len(),
        };
        (members, is_whole)
    }

    pub(crate) fn file(&self) -> String {
        let nodes = self.nodes.iter().map(|name| format!("{name:?}: {{}}\n"));
        let groups = self.groups.iter();
        let groups: String = groups
            .map(|(name, set)| format!("  {name}: {set:?}\n"))
            .collect();
        format!("__groups__:\n{groups}{}", nodes.collect::<String>())
    }
}

/// The first term, and what stands behind it, an operator first.
fn cut(text: &str) -> (&str, &str) {
    let mut depth = 0;
    let end = text.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '[') - i32::from(*c == ']');
        depth == 0 && matches!(c, ',' | '!' | '&' | '^')
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

/// Each text that the brackets stand for, `*` and `?` as they are.
fn expanded(term: &str) -> Vec<String> {
    let Some((before, rest)) = term.split_once('[') else {
        return vec![term.to_owned()];
    };
    let (ranges, after) = rest.split_once(']').unwrap();
    let mut texts = Vec::new();
    for range in ranges.split(',') {
        let (ends, step) = range.split_once('/').unwrap_or((range, "1"));
        let (first, last) = ends.split_once('-').unwrap_or((ends, ends));
        let width = if first.starts_with('0') {
            first.len()
        } else {
            1
        };
        let numbers = first.parse::<usize>().unwrap()..=last.parse().unwrap();
        for number in numbers.step_by(step.parse().unwrap()) {
            for rest in expanded(after) {
                texts.push(format!("{before}{number:0width$}{rest}"));
            }
        }
    }
    texts
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => (0..=name.len()).any(|at| fits(&pattern[1..], &name[at..])),
        Some('?') => !name.is_empty() && fits(&pattern[1..], &name[1..]),
        Some(c) => name.starts_with(c) && fits(&pattern[1..], &name[1..]),
    }
}

#[test]
fn what_is_asked_for_is_what_is_planned_and_what_runs() {
    let mut chance = Chance::new();
    let mut selected = 0;
    for _ in 0..rounds(6) {
        let model = Model::random(&mut chance);
        let site = Site::new();
        site.nodes(&model.file());
        site.command("touch", ": > \"$SCRIPT_ROOT/../touched.$run_id.$name\"");
        let server = site.start();
        let api = server.api();
        for _ in 0..12 {
            let set = model.set(&mut chance, true);
            let expected = model.select(&set, true).filter(|nodes| !nodes.is_empty());
            let request = PlanRunRequest {
                command: "touch".into(),
                nodes: set.clone(),
                ..PlanRunRequest::default()
            };
            let told = || format!("{set} of\n{}", model.file());
            let plan = match (api.plan(request), &expected) {
                (Ok(plan), Some(_)) => plan,
                (Err(_), None) => {
                    let (code, text) = api.refused(on("touch", &set));
                    assert_eq!(code, tonic::Code::InvalidArgument, "{text}: {}", told());
                    continue;
                }
                (planned, _) => panic!("{planned:?} where {expected:?} is right: {}", told()),
            };
            let expected = expected.unwrap();
            let planned: BTreeSet<_> = plan.jobs.iter().map(|job| job.node.clone()).collect();
            assert_eq!(planned, expected, "{}", told());
            let ended = api.run(RunCommandRequest {
                plan_digest: plan.digest,
                ..on("touch", &set)
            });
            let ran: BTreeSet<_> = ended.nodes().iter().map(ToString::to_string).collect();
            assert_eq!(ran, expected, "{}", told());
            let prefix = format!("touched.{}.", ended.id);
            let entries = std::fs::read_dir(server.path("")).unwrap();
            let touched: BTreeSet<String> = entries
                .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
                .filter_map(|name| Some(name.strip_prefix(&prefix)?.to_owned()))
                .collect();
            assert_eq!(touched, expected, "{}", told());
            selected += 1;
        }
    }
    assert!(
        selected > 0,
        "no set selected anything, so nothing was tried"
    );
}
