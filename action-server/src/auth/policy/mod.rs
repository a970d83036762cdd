//! Who may do what: rules that allow and rules that deny.
//!
//! Allowed is what some rule allows and none denies. What a rule covers of the nodes is resolved
//! by callers that know the nodes, into a [`NodeScope`]; deciding is then pure.

mod audience;
mod cover;
mod decide;
mod file;
mod in_words;
mod listed;
mod requirements;
mod subject_patterns;
mod visible_commands;
mod warnings;

use std::path::{Path, PathBuf};

pub use audience::PolicyAudience;
pub use cover::{NodeScope, PolicyTarget};
pub use decide::{
    AccessRequest, Authorizer, PolicyQuestion, PolicyVerdict, ResolvedRules, UnresolvedRule,
};
pub use file::PolicyError;
pub use requirements::RunRequirements;
pub use warnings::{KnownCommand, PolicyFaults, no_such_subject};

use super::{Caller, patterns::PatternList};

/// What a caller may do with runs, commands and nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// See commands and nodes.
    List,
    /// Run commands.
    Run,
    /// See one's own runs.
    ReadOwn,
    /// See everybody's runs.
    ReadAny,
    /// Cancel one's own runs.
    CancelOwn,
    /// Cancel everybody's runs.
    CancelAny,
}

impl Right {
    /// All there are.
    pub const ALL: [Right; 6] = [
        Right::List,
        Right::Run,
        Right::ReadOwn,
        Right::ReadAny,
        Right::CancelOwn,
        Right::CancelAny,
    ];

    /// Its name in rules.
    pub fn label(self) -> &'static str {
        match self {
            Right::List => "list",
            Right::Run => "run",
            Right::ReadOwn => "read:own",
            Right::ReadAny => "read:any",
            Right::CancelOwn => "cancel:own",
            Right::CancelAny => "cancel:any",
        }
    }

    /// What comes with it where it is allowed: who starts a run may see what it needs to, and may
    /// see the run and stop it. Denied is only what is named.
    fn implied_rights(self) -> &'static [Right] {
        match self {
            Right::Run => &[Right::List, Right::ReadOwn, Right::CancelOwn],
            Right::ReadAny => &[Right::ReadOwn],
            Right::CancelAny => &[Right::CancelOwn],
            Right::List | Right::ReadOwn | Right::CancelOwn => &[],
        }
    }
}

/// Whether a rule gives or takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleEffect {
    /// It gives what no rule takes.
    Allow,
    /// It takes, whatever others give.
    Deny,
}

impl RuleEffect {
    /// What a rule does that is about nothing.
    pub fn of_nothing(self) -> &'static str {
        match self {
            RuleEffect::Allow => "allows nothing",
            RuleEffect::Deny => "denies nothing",
        }
    }
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What answers, `explain` and the audit log call it.
    pub name: String,
    /// Whether it gives or takes.
    pub effect: RuleEffect,
    rights: Vec<Right>,
    subjects: Option<PatternList>,
    roles: Option<Vec<String>>,
    commands: Option<PatternList>,
    /// The node set it is about; all nodes, and commands without nodes, where not set.
    pub nodes: Option<String>,
    /// Patterns of arguments; the empty one stands for a run without any.
    arguments: Option<PatternList>,
    /// What a run must bring so that the rule allows it.
    require: RunRequirements,
}

impl Rule {
    /// True where the rule is about this command.
    pub fn is_about_command(&self, name: &str) -> bool {
        let commands = self.commands.as_ref();
        commands.is_none_or(|them| them.match_any(name))
    }

    fn concerns_caller(&self, subject: &str, roles: &[&str]) -> bool {
        let named = self.subjects.as_ref().map(|them| them.match_any(subject));
        let playing = self
            .roles
            .as_ref()
            .map(|them| them.iter().any(|role| roles.contains(&role.as_str())));
        match (named, playing) {
            (None, None) => true,
            (named, playing) => named.unwrap_or(false) || playing.unwrap_or(false),
        }
    }
}

/// Rules, and who has which role besides what tokens say.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Vec<Rule>,
    roles: Vec<(String, PatternList)>,
    /// The file, and what it says: for the lines of what is wrong.
    path: PathBuf,
    text: String,
}

impl Policy {
    /// Without a policy file a token may do what its own claims allow.
    pub fn open() -> Policy {
        let rule = Rule {
            name: "any token".into(),
            effect: RuleEffect::Allow,
            rights: Right::ALL.to_vec(),
            subjects: None,
            roles: None,
            commands: None,
            nodes: None,
            arguments: None,
            require: RunRequirements::NONE,
        };
        Policy {
            rules: vec![rule],
            roles: Vec::new(),
            path: PathBuf::new(),
            text: String::new(),
        }
    }

    /// Reads a policy's text; `path` is for its faults.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn parse(path: &Path, text: &str) -> Result<Policy, PolicyError> {
        file::parse(path, text)
    }

    /// The rules, in the file's order.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The caller's roles: its token's, and those that the policy gives its subject.
    pub fn roles_of<'a>(&'a self, caller: &'a Caller) -> Vec<&'a str> {
        let given = self
            .roles
            .iter()
            .filter(|(_, members)| members.match_any(&caller.subject));
        let own = caller.roles.iter().map(String::as_str);
        own.chain(given.map(|(role, _)| role.as_str())).collect()
    }
}
