//! What a caller may do, in words: for admins, by the very decider that callers meet.

use super::{access::Access, resolved::known_commands};
use crate::auth::policy::{Ask, On, Question, Requirements, Right, Verdict};

impl Access {
    /// Each rule that is about the caller as a sentence; with `command` those that are about it.
    pub(crate) fn rules_in_words(&self, command: Option<&str>) -> Vec<String> {
        let commands = known_commands(&self.catalogue);
        let own = self.decider.own();
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
        let places: Vec<(&str, On)> = match self.takes_nodes(command) {
            true => nodes
                .iter()
                .map(|name| (*name, On::Node(self.catalogue.nodes.position(name))))
                .collect(),
            false => vec![("", On::Nothing)],
        };
        let ask = |right| {
            self.decider.question(Ask {
                right,
                command,
                arguments,
                brings: Requirements::NONE,
            })
        };
        let mut parts = match self.sees_command(command) {
            true => run_in_words(&ask(Right::Run), &places),
            false => vec!["not even see it".to_owned()],
        };
        if self.sees_command(command) && !self.lists_command(command) {
            parts.push("not listed".to_owned());
        }
        for (what, own, any) in [
            ("see", Right::ReadOwn, Right::ReadAny),
            ("cancel", Right::CancelOwn, Right::CancelAny),
        ] {
            let on_some = |right| {
                let question = ask(right);
                places.iter().any(|(_, on)| question.verdict(*on).allowed)
            };
            if on_some(any) {
                parts.push(format!("{what} everybody's runs"));
            } else if on_some(own) {
                parts.push(format!("{what} its own runs"));
            }
        }
        parts
    }
}

/// Where a command may be run and where not, with the rules that decide.
fn run_in_words(run: &Question<'_>, places: &[(&str, On)]) -> Vec<String> {
    let mut groups: Vec<(Verdict<'_>, Vec<&str>)> = Vec::new();
    for (name, on) in places {
        let verdict = run.verdict(*on);
        match groups.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, names)) => names.push(name),
            None => groups.push((verdict, vec![name])),
        }
    }
    groups.sort_by_key(|(verdict, _)| !verdict.is_possible());
    let part = |(verdict, names): (Verdict<'_>, Vec<&str>)| {
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
