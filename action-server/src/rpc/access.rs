//! Whether a caller may do what it asks. Every method asks here, and here alone.
//!
//! Of what a caller may not list it is told what it would be told of something that is not there: node
//! sets are selected from the nodes that it may list, and the rest has no part in the answer.

use std::sync::Arc;

use action_proto::{input::shown_set, v1::RunStarted};
use tonic::Status;

use super::{sights::Sights, status};
use crate::{
    auth::{
        Caller,
        policy::{Ask, Decider, On, Requirements, Right, Rules, Verdict},
    },
    catalogue::{Catalogue, Node, Plan, PlanError, Request, SelectionError, VisibleNodes},
};

/// The most that an error holds of what was asked, in characters.
const SHOWN: usize = 80;
/// The most that an error holds of what would be allowed, in bytes.
const OFFERED: usize = 500;

/// What one caller may do with one catalogue.
pub(crate) struct Access {
    subject: String,
    pub(super) decider: Decider,
    pub(super) catalogue: Arc<Catalogue>,
    /// For each node whether the caller may list it; `None` for all.
    listed: Option<Arc<[bool]>>,
}

/// What is done with a run that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RunAction {
    /// It is seen.
    Read,
    /// It is cancelled.
    Cancel,
}

/// What a caller may do of a plan.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// For each job whether it may.
    pub(super) allowed: Vec<bool>,
    /// The rules that allow some, by name.
    pub(super) allowing: Vec<String>,
    /// The rules that forbid some.
    pub(super) refusing: Vec<String>,
    /// What the run must bring beside what it brings, so that the rules allow it.
    pub(super) missing: Requirements,
}

impl Judgement {
    fn take(&mut self, verdict: Verdict<'_>) {
        let is_possible = verdict.is_possible();
        self.allowed.push(is_possible);
        self.missing = self.missing | verdict.missing;
        let rules = match is_possible {
            true => &mut self.allowing,
            false => &mut self.refusing,
        };
        let reason = verdict.reason();
        if !rules.iter().any(|rule| *rule == reason) {
            rules.push(reason.into_owned());
        }
    }

    /// True when the caller may do all of it, with what is missing.
    pub(super) fn is_whole(&self) -> bool {
        self.refusing.is_empty()
    }

    /// The nodes of a plan that the caller may use, or those that it may not, folded.
    pub(super) fn nodes(&self, plan: &Plan, allowed: bool) -> String {
        let judged = plan.jobs.iter().zip(&self.allowed);
        let those = judged.filter(|(_, is)| **is == allowed);
        action_proto::fold(
            those
                .map(|(job, _)| job.node_name())
                .filter(|name| !name.is_empty()),
        )
    }
}

impl Access {
    /// Works out what a caller may do.
    pub(crate) fn new(caller: &Caller, rules: Arc<Rules>, catalogue: Arc<Catalogue>) -> Access {
        Access::with(caller, rules, catalogue, &Sights::default())
    }

    /// The same with what is known of callers like this one; `sights` are of these rules and this
    /// catalogue.
    pub(super) fn with(
        caller: &Caller,
        rules: Arc<Rules>,
        catalogue: Arc<Catalogue>,
        sights: &Sights,
    ) -> Access {
        let grant = sights.grant(&caller.grant, &catalogue);
        let decider = Decider::new(rules, caller, grant);
        let is_limited = !decider.has_all(Right::List);
        Access {
            subject: caller.subject.clone(),
            listed: is_limited.then(|| sights.listed(&decider, &catalogue)),
            decider,
            catalogue,
        }
    }

    /// The catalogue that all of this is about.
    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// True for a caller who may see everybody's runs of everything.
    pub(super) fn reads_all(&self) -> bool {
        self.decider.has_all(Right::ReadAny)
    }

    /// True for a command that the caller may know of. A name of no command is one of these if no
    /// command of that name would be hidden.
    pub(super) fn sees_command(&self, name: &str) -> bool {
        let sees = |takes_nodes| self.decider.sees_command(name, takes_nodes);
        match self.is_defined(name) {
            true => sees(self.takes_nodes(name)),
            false => sees(true) && sees(false),
        }
    }

    /// True for a command that the caller may know of, and that rules do not deny it everywhere.
    pub(super) fn lists_command(&self, name: &str) -> bool {
        self.decider.lists_command(name, self.takes_nodes(name))
    }

    fn is_defined(&self, name: &str) -> bool {
        self.catalogue.commands.contains_key(name) || self.catalogue.broken.contains_key(name)
    }

    /// True for a command that takes nodes, and for a broken one, of which that is not known.
    pub(super) fn takes_nodes(&self, name: &str) -> bool {
        match self.catalogue.commands.get(name) {
            Some(command) => command.help.has_context,
            None => self.catalogue.broken.contains_key(name),
        }
    }

    /// The nodes that the caller may list: for it there are no others.
    pub(super) fn visible(&self) -> VisibleNodes<'_> {
        self.catalogue.nodes.visible(self.listed.as_deref())
    }

    /// True for a run that the caller may see.
    pub(super) fn reads(&self, run: &RunStarted) -> bool {
        self.may_do(RunAction::Read, run)
    }

    /// True for a run that the caller may cancel.
    pub(super) fn cancels(&self, run: &RunStarted) -> bool {
        self.may_do(RunAction::Cancel, run)
    }

    fn may_do(&self, action: RunAction, run: &RunStarted) -> bool {
        let nodes = run.nodes.iter().map(String::as_str);
        self.may(action, self.is_own(&run.subject), &run.command, nodes)
    }

    /// True for the subject that calls.
    pub(super) fn is_own(&self, subject: &str) -> bool {
        subject == self.subject
    }

    /// True for a run that the caller may do this with.
    pub(super) fn may<'a>(
        &self,
        action: RunAction,
        is_own: bool,
        command: &str,
        nodes: impl Iterator<Item = &'a str>,
    ) -> bool {
        let right = match (action, is_own) {
            (RunAction::Read, true) => Right::ReadOwn,
            (RunAction::Read, false) => Right::ReadAny,
            (RunAction::Cancel, true) => Right::CancelOwn,
            (RunAction::Cancel, false) => Right::CancelAny,
        };
        let question = self.decider.question(Ask {
            right,
            command,
            arguments: &[],
            brings: Requirements::NONE,
        });
        let mut nodes = nodes.peekable();
        if nodes.peek().is_none() {
            return question.verdict(On::Nothing).allowed;
        }
        nodes.all(|name| {
            let on = match self.catalogue.nodes.position(name) {
                None if is_own => On::OwnGone,
                at => On::Node(at),
            };
            question.verdict(on).allowed
        })
    }

    /// The nodes of a set that the caller may list.
    pub(super) fn select(&self, set: &str, exclude: &str) -> Result<Vec<Arc<Node>>, Status> {
        let limit = self.catalogue.node_limit;
        let selected = self.visible().select(set, exclude, limit);
        selected.map_err(|error| match self.may_be_hidden(&error) {
            true => {
                let (set, why) = (shown(set), self.unresolved(&[Right::List], None));
                Status::invalid_argument(format!("no node that you may list: {set}{why}"))
            }
            false => status::from_selection(&error),
        })
    }

    /// Plans a run on nodes that the caller may list.
    pub(super) fn plan(&self, request: &Request) -> Result<Plan, Status> {
        let plan = self.catalogue.plan(request, self.listed.as_deref());
        plan.map_err(|error| match &error {
            PlanError::Selection(why) if self.may_be_hidden(why) => self.refuse_hidden(request),
            PlanError::BrokenTeller {
                command, teller, ..
            } if !self.sees_command(teller) => status::broken_teller(command),
            _ => status::from_plan(&error),
        })
    }

    /// True for an error about a name that may be one of something hidden.
    fn may_be_hidden(&self, error: &SelectionError) -> bool {
        let is_about_names = matches!(
            error,
            SelectionError::Unknown { .. } | SelectionError::SelectsNothing(_)
        );
        self.listed.is_some() && is_about_names
    }

    /// Refuses a command that the caller may not see, before anything is said about it.
    pub(super) fn check_command(&self, name: &str) -> Result<(), Status> {
        match self.sees_command(name) {
            true => Ok(()),
            false => {
                let why = self.unresolved(&[Right::List], Some(name));
                let text = "you may not run this command, or there is none of that name";
                Err(Status::permission_denied(format!("{text}{why}")))
            }
        }
    }

    /// What is added to a denial that may follow from a node set that cannot be resolved. It is the
    /// same whatever nodes, commands and runs there are.
    pub(super) fn unresolved(&self, rights: &[Right], command: Option<&str>) -> String {
        let mut rights = rights.iter();
        let unresolved = rights.find_map(|right| self.decider.unresolved(*right, command));
        unresolved.map_or_else(String::new, |it| format!(" ({it})"))
    }

    /// What the caller may do of a plan with a run that brings these.
    pub(super) fn judge(&self, plan: &Plan, brings: Requirements) -> Judgement {
        let question = self.decider.question(Ask {
            right: Right::Run,
            command: &plan.command.name,
            arguments: &plan.arguments,
            brings,
        });
        let mut judgement = Judgement::default();
        for job in &plan.jobs {
            let at = self.catalogue.nodes.position(job.node_name());
            let on = match plan.command.help.has_context {
                true => On::Node(at),
                false => On::Nothing,
            };
            let verdict = question.verdict(on);
            judgement.take(verdict);
        }
        judgement
    }

    /// One answer for nodes that may not be seen and for nodes that are not there.
    fn refuse_hidden(&self, request: &Request) -> Status {
        let asked = match request.exclude.as_str() {
            "" => shown(&request.nodes),
            out => format!("{} without {}", shown(&request.nodes), shown(out)),
        };
        let may = self.runs_on(&request.command, &request.arguments);
        let offer = match may.len() {
            0 => "you may on none".to_owned(),
            1..=OFFERED => format!("you may on {may}"),
            _ => "`nodes` lists those that you may see".to_owned(),
        };
        let why = self.unresolved(&[Right::List, Right::Run], Some(&request.command));
        let command = shown(&request.command);
        Status::permission_denied(format!(
            "you may not run {command} on all of {asked}, or not all of it is there{why}; {offer}; nothing was run"
        ))
    }

    /// The nodes that the caller may see and run the command on, folded.
    pub(crate) fn runs_on(&self, command: &str, arguments: &[String]) -> String {
        let question = self.decider.question(Ask {
            right: Right::Run,
            command,
            arguments,
            brings: Requirements::NONE,
        });
        let listed = self.visible().iter();
        let may = listed.filter(|&(at, _)| question.verdict(On::Node(Some(at))).is_possible());
        action_proto::fold(may.map(|(_, node)| node.name.as_str()))
    }
}

fn shown(text: &str) -> String {
    let text = shown_set(text);
    let short = text.chars().take(SHOWN).flat_map(char::escape_debug);
    let cut = if text.chars().count() > SHOWN {
        ".."
    } else {
        ""
    };
    short.chain(cut.chars()).collect()
}
