//! A rule as a sentence.

use action_proto::input::shown_set;

use super::{KnownCommand, NodeScope, Right, Rule, RuleEffect, RunRequirements};

impl Rule {
    /// The rule in plain words: `may run power-* (3 commands) on @compute (4 nodes) (its name)`.
    /// `cover` is what its node set covers, `commands` are those that there are.
    pub fn in_words(&self, cover: &NodeScope, commands: &[KnownCommand<'_>]) -> String {
        let may = match self.effect {
            RuleEffect::Allow => "may",
            RuleEffect::Deny => "may not",
        };
        let verbs = self.join_words(&self.verbs_in_words());
        let objects = self.commands_in_words(commands);
        let nodes = self.nodes_in_words(cover, commands);
        let arguments = self.arguments_in_words();
        let require = match self.require {
            RunRequirements::NONE => String::new(),
            some => format!(", which requires --{}", some.names().join(" and --")),
        };
        let name = &self.name;
        format!("{may} {verbs} {objects}{nodes}{arguments}{require} ({name})")
    }

    /// What the rule is about, each verb up to the command.
    fn verbs_in_words(&self) -> Vec<&'static str> {
        let has = |right| self.rights.contains(&right);
        let is_allowed = self.effect == RuleEffect::Allow;
        if Right::ALL.into_iter().all(has) {
            return vec![if is_allowed {
                "do everything with"
            } else {
                "do anything with"
            }];
        }
        // What a right brings goes without saying.
        let runs = is_allowed && has(Right::Run);
        let mut verbs = Vec::new();
        if has(Right::Run) {
            verbs.push("run");
        }
        if has(Right::List) && !runs {
            verbs.push("list");
        }
        let of_runs = |own, any, words: [&'static str; 3]| match (has(own), has(any)) {
            (true, true) => Some(words[0]),
            (true, false) => (!runs).then_some(words[1]),
            (false, true) => Some(words[2]),
            (false, false) => None,
        };
        verbs.extend(of_runs(
            Right::ReadOwn,
            Right::ReadAny,
            [
                "see everybody's runs of",
                "see its own runs of",
                "see others' runs of",
            ],
        ));
        verbs.extend(of_runs(
            Right::CancelOwn,
            Right::CancelAny,
            [
                "cancel everybody's runs of",
                "cancel its own runs of",
                "cancel others' runs of",
            ],
        ));
        verbs
    }

    fn commands_in_words(&self, commands: &[KnownCommand<'_>]) -> String {
        let Some(patterns) = &self.commands else {
            return match self.effect {
                RuleEffect::Allow => "every command".to_owned(),
                RuleEffect::Deny => "any command".to_owned(),
            };
        };
        let named = patterns.each().map(|(text, pattern)| {
            let count = commands.iter().filter(|it| pattern.matches(it.name));
            let text = shown_set(text);
            match (count.count(), pattern.has_wildcards()) {
                (0, _) => format!("{text} (no command)"),
                (_, false) => text,
                (1, true) => format!("{text} (1 command)"),
                (count, true) => format!("{text} ({count} commands)"),
            }
        });
        let named: Vec<String> = named.collect();
        self.join_words(&named)
    }

    fn nodes_in_words(&self, cover: &NodeScope, commands: &[KnownCommand<'_>]) -> String {
        let takes_nodes = |command: &KnownCommand<'_>| {
            command.takes_nodes != Some(false) && self.is_about_command(command.name)
        };
        let set = shown_set(self.nodes.as_deref().unwrap_or_default());
        match cover {
            NodeScope::Everything if !commands.iter().any(takes_nodes) => String::new(),
            NodeScope::Everything => " on all nodes".to_owned(),
            NodeScope::Unknown(reason) => format!(" on {set} ({reason})"),
            NodeScope::Nodes { sure, possible } => {
                let nodes = match self.effect {
                    RuleEffect::Allow => sure,
                    RuleEffect::Deny => possible,
                };
                match nodes.iter().filter(|is| **is).count() {
                    0 => format!(" on {set} (no node)"),
                    1 => format!(" on {set} (1 node)"),
                    count => format!(" on {set} ({count} nodes)"),
                }
            }
        }
    }

    fn arguments_in_words(&self) -> String {
        let about_runs = self.rights.contains(&Right::Run);
        let Some(patterns) = self.arguments.as_ref().filter(|_| about_runs) else {
            return String::new();
        };
        let texts = patterns.texts().iter().filter(|text| !text.is_empty());
        let texts: Vec<String> = texts.map(|text| format!("{:?}", shown_set(text))).collect();
        let some = match self.effect {
            _ if texts.is_empty() => None,
            RuleEffect::Allow => Some("with arguments that are each like"),
            RuleEffect::Deny => Some("with an argument like"),
        };
        let some = some.map(|some| format!("{some} {}", texts.join(" or ")));
        let none = patterns.match_absence();
        let none = none.then(|| "without arguments".to_owned());
        let both: Vec<String> = none.into_iter().chain(some).collect();
        // Arguments limit nothing but runs.
        let implied = [Right::Run, Right::List, Right::ReadOwn, Right::CancelOwn];
        let is_about_runs = |right: &Right| match self.effect {
            RuleEffect::Allow => implied.contains(right),
            RuleEffect::Deny => *right == Right::Run,
        };
        let only = match Right::ALL
            .iter()
            .filter(|it| self.rights.contains(it))
            .all(is_about_runs)
        {
            true => "",
            false => ", runs only",
        };
        format!("{only} {}", both.join(" or "))
    }

    fn join_words(&self, texts: &[impl AsRef<str>]) -> String {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let word = match self.effect {
            RuleEffect::Allow => "and",
            RuleEffect::Deny => "or",
        };
        match texts.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} {word} {last}", others.join(", "))
            }
            _ => texts.concat(),
        }
    }
}
