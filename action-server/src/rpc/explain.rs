//! The access of a caller in words, for admins, by the same checks as for calls.

use super::{access::CallerAccess, resolved::known_commands};
use crate::auth::policy::{
    AccessRequest, PolicyQuestion, PolicyTarget, PolicyVerdict, Right, RunRequirements,
};

impl CallerAccess {
    /// Each rule that is about the caller as a sentence; with `command` those that are about it.
    pub(crate) fn rules_in_words(&self, command: Option<&str>) -> Vec<String> {
        let commands = known_commands(&self.catalogue);
        let own = self.decider.own_rules();
        let own = own.filter(|(rule, _)| command.is_none_or(|name| rule.is_about_command(name)));
        own.map(|(rule, cover)| rule.in_words(cover, &commands))
            .collect()
    }

    /// What the caller may do with a command on nodes, in words, with the rules that decide.
    pub(crate) fn explain(
        &self,
        command: &str,
        nodes: &[&str],
        arguments: &[String],
    ) -> Vec<String> {
        let places: Vec<(&str, PolicyTarget)> = if self.takes_nodes(command) {
            nodes
                .iter()
                .map(|name| {
                    (
                        *name,
                        PolicyTarget::Node(self.catalogue.nodes.position(name)),
                    )
                })
                .collect()
        } else {
            vec![("", PolicyTarget::Nothing)]
        };
        let ask = |right| {
            self.decider.prepare_question(AccessRequest {
                right,
                command,
                arguments,
                brings: RunRequirements::NONE,
            })
        };
        let mut parts = if self.sees_command(command) {
            let (seen, hidden) = self.split_visible(&places);
            let mut parts = run_in_words(&ask(Right::Run), &seen);
            if !hidden.is_empty() {
                parts.push(format!("not even see {}", action_proto::fold(hidden)));
            }
            parts
        } else {
            vec!["not even see it".to_owned()]
        };
        if self.sees_command(command) && !self.lists_command(command) {
            parts.push("not listed".to_owned());
        }
        for (what, own, any) in [
            ("see", Right::ReadOwn, Right::ReadAny),
            ("cancel", Right::CancelOwn, Right::CancelAny),
        ] {
            let on = |right| {
                let question = ask(right);
                let may = places.iter().filter(|(_, on)| question.decide(*on).allowed);
                may.map(|(name, _)| *name).collect::<Vec<_>>()
            };
            let whose = runs_in_words(&on(own), &on(any), places.len());
            parts.extend(whose.iter().map(|whose| format!("{what} {whose}")));
        }
        parts
    }
}

impl CallerAccess {
    /// The places that the caller may list, and the names of the nodes that it may not.
    fn split_visible<'a>(
        &self,
        places: &[(&'a str, PolicyTarget)],
    ) -> (Vec<(&'a str, PolicyTarget)>, Vec<&'a str>) {
        let visible = self.visible_nodes();
        let is_seen = |on: &PolicyTarget| match on {
            PolicyTarget::Node(Some(at)) => visible.has(*at),
            _ => true,
        };
        let (seen, hidden): (Vec<_>, Vec<_>) = places.iter().partition(|(_, on)| is_seen(on));
        let names = hidden.into_iter().map(|(name, _)| name);
        (seen, names.collect())
    }
}

/// Whose runs are meant, where they are allowed on the nodes `own` and `any` of so many.
fn runs_in_words(own: &[&str], any: &[&str], all: usize) -> Vec<String> {
    let on = |names: &[&str]| {
        if names.len() == all {
            String::new()
        } else {
            format!(" on {}", action_proto::fold(names.iter().copied()))
        }
    };
    let others = any.iter().filter(|name| !own.contains(name));
    match (own, any) {
        ([], []) => Vec::new(),
        (_, []) => vec![format!("its own runs{}", on(own))],
        _ if own == any => vec![format!("everybody's runs{}", on(any))],
        _ if others.count() == 0 => vec![
            format!("everybody's runs{}", on(any)),
            format!("its own runs{}", on(own)),
        ],
        ([], _) => vec![format!("others' runs{}", on(any))],
        _ => vec![
            format!("others' runs{}", on(any)),
            format!("its own runs{}", on(own)),
        ],
    }
}

/// Where a command may be run and where not, with the rules that decide.
fn run_in_words(run: &PolicyQuestion<'_>, places: &[(&str, PolicyTarget)]) -> Vec<String> {
    let mut groups: Vec<(PolicyVerdict<'_>, Vec<&str>)> = Vec::new();
    for (name, on) in places {
        let verdict = run.decide(*on);
        match groups.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, names)) => names.push(name),
            None => groups.push((verdict, vec![name])),
        }
    }
    groups.sort_by_key(|(verdict, _)| !verdict.is_possible());
    let part = |(verdict, names): (PolicyVerdict<'_>, Vec<&str>)| {
        let may = if verdict.is_possible() {
            "run"
        } else {
            "not run"
        };
        let with = match verdict.missing.names().as_slice() {
            [] => String::new(),
            names => format!(" with --{}", names.join(" and --")),
        };
        let on = match names.as_slice() {
            [""] => " it".to_owned(),
            _ => format!(" on {}", action_proto::fold(names)),
        };
        format!("{may}{on}{with} ({})", verdict.reason())
    };
    groups.into_iter().map(part).collect()
}
