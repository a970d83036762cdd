//! The audience of `explain`: each subject, pattern of subjects and role that a policy names, and all
//! others, each with a caller that stands for it.

use std::collections::HashMap;

use action_proto::input::{shown_name, shown_set};

use super::{
    Policy, Rule,
    subject_patterns::{can_be_subject, share_subject, stand_ins},
};
use crate::auth::{Caller, patterns::PatternList};

/// Who callers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AudienceKind<'a> {
    /// Those of a subject, or of a pattern of subjects.
    Subject(&'a str),
    /// Those whose token says a role.
    Role(&'a str),
    /// Those whom the policy does not name.
    Others,
}

/// Callers whom the rules treat alike, as far as all of them are named.
#[derive(Debug)]
pub struct PolicyAudience<'a> {
    /// What they are called.
    pub heading: String,
    /// One that stands for all: only rules that name all of them name it, where there is such a one.
    pub caller: Caller,
    /// Rules that name some of them, and not the one.
    pub also_named_by: Vec<&'a Rule>,
    /// Rules that name the one, and not all of them.
    pub partly_named_by: Vec<&'a Rule>,
}

impl Policy {
    /// All subjects that the policy distinguishes, and the others.
    pub fn audiences(&self) -> Vec<PolicyAudience<'_>> {
        let subjects = self.named_subjects().into_iter().map(AudienceKind::Subject);
        let roles = self.named_roles().into_iter().map(AudienceKind::Role);
        let all = subjects.chain(roles).chain([AudienceKind::Others]);
        let mut audiences: Vec<PolicyAudience<'_>> = all
            .filter_map(|who| self.audience_of(who, Vec::new()))
            .collect();
        number_equal(&mut audiences);
        audiences
    }

    /// Those of a subject, or of a pattern of subjects, whose tokens say these roles. `None` where no
    /// token can have such a subject.
    pub fn audience(&self, subject: &str, roles: Vec<String>) -> Option<PolicyAudience<'_>> {
        self.audience_of(AudienceKind::Subject(subject), roles)
    }

    fn audience_of(
        &self,
        who: AudienceKind<'_>,
        mut roles: Vec<String>,
    ) -> Option<PolicyAudience<'_>> {
        let pattern = match who {
            AudienceKind::Subject(pattern) => pattern,
            AudienceKind::Role(role) => {
                roles.push(role.to_owned());
                "*"
            }
            AudienceKind::Others => "*",
        };
        let candidates: Vec<Caller> = stand_ins(pattern, self.unnamed_character())
            .into_iter()
            .map(|subject| Caller {
                subject,
                roles: roles.clone(),
                ..Caller::default()
            })
            .collect();
        let named: Vec<Vec<bool>> = candidates.iter().map(|it| self.rules_naming(it)).collect();
        let count = |rules: &Vec<bool>| rules.iter().filter(|is_named| **is_named).count();
        // Of those that as few rules name the first, which is the longest.
        let best = (0..named.len()).min_by_key(|&at| count(&named[at]))?;
        let caller = candidates.into_iter().nth(best)?;
        let mut also_named_by = Vec::new();
        let mut partly_named_by = Vec::new();
        let tells_of_some = matches!(who, AudienceKind::Subject(text) if is_pattern(text));
        for (at, rule) in self.rules.iter().enumerate() {
            let names_all = named.iter().all(|rules| rules[at]);
            if named[best][at] && !names_all {
                partly_named_by.push(rule);
            }
            if tells_of_some && !named[best][at] && self.names_some(rule, pattern) {
                also_named_by.push(rule);
            }
        }
        Some(PolicyAudience {
            heading: self.heading(who, &caller),
            caller,
            also_named_by,
            partly_named_by,
        })
    }

    /// For each rule whether it is about the caller.
    fn rules_naming(&self, caller: &Caller) -> Vec<bool> {
        let roles = self.roles_of(caller);
        let rules = self.rules.iter();
        rules
            .map(|rule| rule.concerns_caller(&caller.subject, &roles))
            .collect()
    }

    /// True where a rule is about some subject of a pattern, by its name or by a role of the policy.
    fn names_some(&self, rule: &Rule, pattern: &str) -> bool {
        let shares = |patterns: &PatternList| {
            let mut texts = patterns.texts().iter();
            texts.any(|text| share_subject(text, pattern))
        };
        let has_role = |role: &String| {
            let mut given = self.roles.iter();
            given.any(|(name, members)| name == role && shares(members))
        };
        rule.subjects.as_ref().is_some_and(shares)
            || rule
                .roles
                .as_ref()
                .is_some_and(|roles| roles.iter().any(has_role))
    }

    /// A character that no pattern of subjects has. What it stands for is not shown.
    fn unnamed_character(&self) -> char {
        let texts = self.subject_texts();
        let is_named = |c: &char| texts.iter().any(|text| text.contains(*c));
        let mut others = '\u{e000}'..='\u{f8ff}';
        others.find(|c| !is_named(c)).unwrap_or('\u{f8ff}')
    }

    /// The subjects that rules and roles name and that tokens can have, patterns as they are.
    fn named_subjects(&self) -> Vec<&str> {
        let mut names = self.subject_texts();
        // `*` is the others too.
        names.retain(|text| !text.trim_matches('*').is_empty() && can_be_subject(text));
        names.sort_unstable();
        names.dedup();
        names
    }

    fn subject_texts(&self) -> Vec<&str> {
        let of_rules = self.rules.iter().filter_map(|rule| rule.subjects.as_ref());
        let of_roles = self.roles.iter().map(|(_, members)| members);
        let all = of_rules.chain(of_roles).flat_map(PatternList::texts);
        all.map(String::as_str).collect()
    }

    /// The roles that rules name or that the policy gives.
    fn named_roles(&self) -> Vec<&str> {
        let of_rules = self.rules.iter().filter_map(|rule| rule.roles.as_ref());
        let given = self.roles.iter().map(|(role, _)| role);
        let mut names: Vec<&str> = of_rules
            .flatten()
            .chain(given)
            .map(String::as_str)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn heading(&self, who: AudienceKind<'_>, caller: &Caller) -> String {
        match who {
            AudienceKind::Subject(text) if is_pattern(text) => {
                format!("subjects like {}", shown_set(text))
            }
            AudienceKind::Subject(text) => {
                let mut roles = self.roles_of(caller);
                roles.sort_unstable();
                roles.dedup();
                let roles: Vec<String> = roles.into_iter().map(shown_name).collect();
                if roles.is_empty() {
                    shown_set(text)
                } else {
                    format!("{} (roles: {})", shown_set(text), roles.join(", "))
                }
            }
            AudienceKind::Role(role) => format!("whoever has the role {}", shown_name(role)),
            AudienceKind::Others => "anybody else with a token".to_owned(),
        }
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Tells headings apart whose names are not shown.
fn number_equal(audiences: &mut [PolicyAudience<'_>]) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for audience in audiences {
        let count = counts.entry(audience.heading.clone()).or_default();
        *count += 1;
        if *count > 1 {
            audience.heading += &format!(" (no. {count})");
        }
    }
}
