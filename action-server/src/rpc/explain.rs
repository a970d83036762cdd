//! What a caller may do, in words: for admins, by the very decider that callers meet.

use super::access::Access;
use crate::auth::policy::{Ask, On, Right, Verdict};

impl Access {
    /// What the caller may do with a command on nodes, in words, with the rules that decide.
    pub(crate) fn explain(
        &self,
        command: &str,
        nodes: &[&str],
        arguments: &[String],
    ) -> Vec<String> {
        if !self.lists_command(command) {
            return vec!["not even see it".to_owned()];
        }
        let takes_nodes = self.takes_nodes(command);
        let places: Vec<(&str, On)> = match takes_nodes {
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
            })
        };
        let run = ask(Right::Run);
        let mut groups: Vec<(Verdict<'_>, Vec<&str>)> = Vec::new();
        for (name, on) in &places {
            let verdict = run.verdict(*on);
            match groups.iter_mut().find(|(known, _)| *known == verdict) {
                Some((_, names)) => names.push(name),
                None => groups.push((verdict, vec![name])),
            }
        }
        groups.sort_by_key(|(verdict, _)| !verdict.allowed);
        let mut parts: Vec<String> = groups
            .into_iter()
            .map(|(verdict, names)| {
                let may = if verdict.allowed { "run" } else { "not run" };
                let on = match takes_nodes {
                    true => format!(" on {}", action_proto::fold(names)),
                    false => " it".to_owned(),
                };
                format!("{may}{on} ({})", verdict.rule)
            })
            .collect();
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
