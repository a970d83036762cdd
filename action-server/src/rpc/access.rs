//! Whether a caller may do what it asks. Every method asks here, and here alone.
//!
//! Of what a caller may not list it is told what it would be told of something that is not there.

use std::sync::Arc;

use action_proto::v1::RunStarted;
use tonic::Status;

use super::{resolved::covering, status};
use crate::{
    auth::{
        Caller,
        policy::{Ask, Cover, Decider, On, Requirements, Right, Rules, Verdict},
    },
    catalogue::{Catalogue, Node, Nodes, Plan, Request, SelectionError},
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
        let grant = caller.grant.nodes.as_ref().map(|set| {
            let covered = catalogue.nodes.cover(set);
            covered.map_or_else(|error| Cover::Unknown(error.brief()), covering)
        });
        Access {
            subject: caller.subject.clone(),
            decider: Decider::new(rules, caller, grant.unwrap_or(Cover::Everything)),
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

    /// True for a command that the caller may know of.
    pub(super) fn sees_command(&self, name: &str) -> bool {
        self.decider.sees_command(name, self.takes_nodes(name))
    }

    /// True for a command that the caller may know of, and that rules do not deny it everywhere.
    pub(super) fn lists_command(&self, name: &str) -> bool {
        self.decider.lists_command(name, self.takes_nodes(name))
    }

    /// True for a command that takes nodes, and for a broken one, of which that is not known. A name
    /// that there is none of is as one that may not be seen.
    pub(super) fn takes_nodes(&self, name: &str) -> bool {
        match self.catalogue.commands.get(name) {
            Some(command) => command.has_context,
            None => self.catalogue.broken.contains_key(name),
        }
    }

    /// True for a node that the caller may see.
    pub(super) fn lists_node(&self, name: &str) -> bool {
        let at = self.catalogue.nodes.position(name);
        at.is_some_and(|at| self.decider.lists_node(at))
    }

    /// True for a run that the caller may see.
    pub(super) fn reads(&self, run: &RunStarted) -> bool {
        self.may(run, Right::ReadOwn, Right::ReadAny)
    }

    /// True for a run that the caller may cancel.
    pub(super) fn cancels(&self, run: &RunStarted) -> bool {
        self.may(run, Right::CancelOwn, Right::CancelAny)
    }

    fn may(&self, run: &RunStarted, own: Right, any: Right) -> bool {
        let question = self.decider.question(Ask {
            right: if run.subject == self.subject {
                own
            } else {
                any
            },
            command: &run.command,
            arguments: &[],
            brings: Requirements::NONE,
        });
        if run.nodes.is_empty() {
            return question.verdict(On::Nothing).allowed;
        }
        let mut nodes = run.nodes.iter();
        nodes.all(|name| {
            let at = self.catalogue.nodes.position(name);
            question.verdict(On::Node(at)).allowed
        })
    }

    /// The nodes of a set that the caller may see: for it there are no others.
    pub(super) fn select(&self, set: &str, exclude: &str) -> Result<Vec<Arc<Node>>, Status> {
        let limit = self.catalogue.node_limit;
        match self.seen() {
            None => {
                let selected = self.catalogue.nodes.select(set, exclude, limit);
                selected.map_err(|error| status::from_selection(&error))
            }
            Some(seen) => seen.select(set, exclude, limit).map_err(|error| {
                if tells_of_nodes(&error) {
                    let (set, why) = (shown(set), self.unresolved(&[Right::List], None));
                    let text = format!("no node that you may list: {set}{why}");
                    return Status::invalid_argument(text);
                }
                status::from_selection(&error)
            }),
        }
    }

    /// What the caller may see of the nodes; `None` for all.
    fn seen(&self) -> Option<Nodes> {
        let seen = |at| self.decider.lists_node(at);
        (!self.decider.has_all(Right::List)).then(|| self.catalogue.nodes.only(seen))
    }

    /// Refuses a selection that is another one with what the caller may not see, in the same words
    /// whether it is there or not.
    pub(super) fn check_selection(&self, request: &Request) -> Result<(), Status> {
        let takes_nodes = self
            .catalogue
            .commands
            .get(&request.command)
            .is_some_and(|command| command.has_context);
        let Some(seen) = self.seen().filter(|_| takes_nodes) else {
            return Ok(());
        };
        let (set, exclude, limit) = (&request.nodes, &request.exclude, self.catalogue.node_limit);
        let names = |nodes: &Nodes| {
            let nodes = nodes.select(set, exclude, limit)?;
            Ok(nodes.iter().map(|node| node.name.clone()).collect())
        };
        let known: Result<Vec<String>, SelectionError> = names(&seen);
        match (known, names(&self.catalogue.nodes)) {
            (Ok(known), Ok(all)) if known == all => Ok(()),
            (Err(error), _) if !tells_of_nodes(&error) => Err(status::from_selection(&error)),
            _ => Err(self.refuse_hidden(request)),
        }
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
            let on = match plan.command.has_context {
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
        let all = self.catalogue.nodes.list().iter().enumerate();
        let may = all.filter(|&(at, _)| {
            self.decider.lists_node(at) && question.verdict(On::Node(Some(at))).is_possible()
        });
        action_proto::fold(may.map(|(_, node)| node.name.as_str()))
    }
}

/// True for errors that say what is there, or is not.
fn tells_of_nodes(error: &SelectionError) -> bool {
    matches!(
        error,
        SelectionError::Unknown { .. }
            | SelectionError::BrokenGroup { .. }
            | SelectionError::SelectsNothing(_)
            | SelectionError::TooMany { .. }
    )
}

fn shown(text: &str) -> String {
    let short = text.chars().take(SHOWN).flat_map(char::escape_debug);
    let cut = if text.chars().count() > SHOWN {
        ".."
    } else {
        ""
    };
    short.chain(cut.chars()).collect()
}
