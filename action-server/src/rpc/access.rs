//! Access checks of one caller. Every method checks here, and only here.
//!
//! If the caller may not list a node or command, the answer is the same as if it did not exist: node sets
//! select from the nodes that the caller may list.

use std::sync::Arc;

use action_proto::{input::shown_set, v1::RunStarted};
use tonic::Status;

use super::{sights::NodeSights, status};
use crate::{
    auth::{
        Caller,
        policy::{
            AccessRequest, Authorizer, PolicyTarget, PolicyVerdict, ResolvedRules, Right,
            RunRequirements,
        },
    },
    catalogue::{Catalogue, Node, Plan, PlanError, Request, SelectionError, VisibleNodes},
};

/// The most that an error quotes of a request, in characters.
const SHOWN: usize = 80;
/// The longest list of permitted nodes in an error, in bytes.
const OFFERED: usize = 500;

/// The access of one caller to one catalogue.
pub(crate) struct CallerAccess {
    subject: String,
    pub(super) decider: Authorizer,
    pub(super) catalogue: Arc<Catalogue>,
    /// For each node whether the caller may list it; `None` for all.
    listed: Option<Arc<[bool]>>,
}

/// An action on an existing run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RunAction {
    /// See it.
    Read,
    /// Cancel it.
    Cancel,
}

/// Which jobs of a plan the caller may run.
#[derive(Debug, Default)]
pub(super) struct PlanJudgement {
    /// For each job whether the caller may run it.
    pub(super) allowed: Vec<bool>,
    /// The rules that allow some, by name.
    pub(super) allowing: Vec<String>,
    /// The rules that forbid some.
    pub(super) refusing: Vec<String>,
    /// What the run must bring in addition, so that the rules allow it.
    pub(super) missing: RunRequirements,
}

impl PlanJudgement {
    fn take(&mut self, verdict: PolicyVerdict<'_>) {
        let is_possible = verdict.is_possible();
        self.allowed.push(is_possible);
        self.missing = self.missing | verdict.missing;
        let rules = if is_possible {
            &mut self.allowing
        } else {
            &mut self.refusing
        };
        let reason = verdict.reason();
        if !rules.iter().any(|rule| *rule == reason) {
            rules.push(reason.into_owned());
        }
    }

    /// True when the caller may run all jobs, if it brings what is missing.
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

impl CallerAccess {
    /// The access of a caller.
    pub(crate) fn new(
        caller: &Caller,
        rules: Arc<ResolvedRules>,
        catalogue: Arc<Catalogue>,
    ) -> CallerAccess {
        CallerAccess::with(caller, rules, catalogue, &NodeSights::default())
    }

    /// The same with cached node sets; `sights` belong to these rules and this catalogue.
    pub(super) fn with(
        caller: &Caller,
        rules: Arc<ResolvedRules>,
        catalogue: Arc<Catalogue>,
        sights: &NodeSights,
    ) -> CallerAccess {
        let grant = sights.token_scope(&caller.grant, &catalogue);
        let decider = Authorizer::new(rules, caller, grant);
        let is_limited = !decider.has_all(Right::List);
        CallerAccess {
            subject: caller.subject.clone(),
            listed: is_limited.then(|| sights.listed_nodes_of(&decider, &catalogue)),
            decider,
            catalogue,
        }
    }

    /// The catalogue.
    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// True for a caller who may see everybody's runs of everything.
    pub(super) fn reads_all(&self) -> bool {
        self.decider.has_all(Right::ReadAny)
    }

    /// True for a command that the caller may see. An undefined name counts as visible if no command of
    /// that name would be hidden.
    pub(super) fn sees_command(&self, name: &str) -> bool {
        let sees = |takes_nodes| self.decider.sees_command(name, takes_nodes);
        if self.is_defined(name) {
            sees(self.takes_nodes(name))
        } else {
            sees(true) && sees(false)
        }
    }

    /// True for a visible command that rules do not deny everywhere.
    pub(super) fn lists_command(&self, name: &str) -> bool {
        self.decider.lists_command(name, self.takes_nodes(name))
    }

    fn is_defined(&self, name: &str) -> bool {
        self.catalogue.commands.contains_key(name) || self.catalogue.broken.contains_key(name)
    }

    /// True for a command that takes nodes, and for a broken one, which may.
    pub(super) fn takes_nodes(&self, name: &str) -> bool {
        match self.catalogue.commands.get(name) {
            Some(command) => command.help.has_context,
            None => self.catalogue.broken.contains_key(name),
        }
    }

    /// The nodes that the caller may list.
    pub(super) fn visible_nodes(&self) -> VisibleNodes<'_> {
        self.catalogue.nodes.visible(self.listed.as_deref())
    }

    /// True for a run that the caller may see.
    pub(super) fn may_read(&self, run: &RunStarted) -> bool {
        self.may_do(RunAction::Read, run)
    }

    /// True for a run that the caller may cancel.
    pub(super) fn may_cancel(&self, run: &RunStarted) -> bool {
        self.may_do(RunAction::Cancel, run)
    }

    fn may_do(&self, action: RunAction, run: &RunStarted) -> bool {
        let nodes = run.nodes.iter().map(String::as_str);
        self.may(action, self.is_own(&run.subject), &run.command, nodes)
    }

    /// True for the caller's own subject.
    pub(super) fn is_own(&self, subject: &str) -> bool {
        subject == self.subject
    }

    /// True for a run on which the caller may do this.
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
        let question = self.decider.prepare_question(AccessRequest {
            right,
            command,
            arguments: &[],
            brings: RunRequirements::NONE,
        });
        let mut nodes = nodes.peekable();
        if nodes.peek().is_none() {
            return question.decide(PolicyTarget::Nothing).allowed;
        }
        nodes.all(|name| {
            let on = match self.catalogue.nodes.position(name) {
                None if is_own => PolicyTarget::OwnGone,
                at => PolicyTarget::Node(at),
            };
            question.decide(on).allowed
        })
    }

    /// The nodes of a set that the caller may list.
    pub(super) fn select_nodes(&self, set: &str, exclude: &str) -> Result<Vec<Arc<Node>>, Status> {
        let limit = self.catalogue.node_limit;
        let selected = self.visible_nodes().select(set, exclude, limit);
        selected.map_err(|error| {
            if self.may_be_hidden(&error) {
                let (set, why) = (shorten(set), self.unresolved_note(&[Right::List], None));
                Status::invalid_argument(format!("no node that you may list: {set}{why}"))
            } else {
                status::from_selection(&error)
            }
        })
    }

    /// Plans a run on nodes that the caller may list.
    pub(super) fn plan_run(&self, request: &Request) -> Result<Plan, Status> {
        let plan = self.catalogue.plan(request, self.listed.as_deref());
        plan.map_err(|error| match &error {
            PlanError::Selection(why) if self.may_be_hidden(why) => self.refuse_hidden(request),
            PlanError::BrokenTeller {
                command, teller, ..
            } if !self.sees_command(teller) => status::broken_teller(command),
            _ => status::from_plan(&error),
        })
    }

    /// True for an error about a name that may belong to something hidden.
    fn may_be_hidden(&self, error: &SelectionError) -> bool {
        let is_about_names = matches!(
            error,
            SelectionError::Unknown { .. } | SelectionError::SelectsNothing(_)
        );
        self.listed.is_some() && is_about_names
    }

    /// Rejects a command that the caller may not see.
    pub(super) fn check_command(&self, name: &str) -> Result<(), Status> {
        if self.sees_command(name) {
            Ok(())
        } else {
            let why = self.unresolved_note(&[Right::List], Some(name));
            let text = "you may not run this command, or there is none of that name";
            Err(Status::permission_denied(format!("{text}{why}")))
        }
    }

    /// A note for a denial that may follow from a node set that cannot be resolved. It does not depend on
    /// nodes, commands or runs.
    pub(super) fn unresolved_note(&self, rights: &[Right], command: Option<&str>) -> String {
        let mut rights = rights.iter();
        let unresolved = rights.find_map(|right| self.decider.unresolved(*right, command));
        unresolved.map_or_else(String::new, |it| format!(" ({it})"))
    }

    /// Judges a plan for a run that brings these.
    pub(super) fn judge_plan(&self, plan: &Plan, brings: RunRequirements) -> PlanJudgement {
        let question = self.decider.prepare_question(AccessRequest {
            right: Right::Run,
            command: &plan.command.name,
            arguments: &plan.arguments,
            brings,
        });
        let mut judgement = PlanJudgement::default();
        for job in &plan.jobs {
            let at = self.catalogue.nodes.position(job.node_name());
            let on = if plan.command.help.has_context {
                PolicyTarget::Node(at)
            } else {
                PolicyTarget::Nothing
            };
            let verdict = question.decide(on);
            judgement.take(verdict);
        }
        judgement
    }

    /// One answer for hidden nodes and for undefined nodes.
    fn refuse_hidden(&self, request: &Request) -> Status {
        let asked = match request.exclude.as_str() {
            "" => shorten(&request.nodes),
            out => format!("{} without {}", shorten(&request.nodes), shorten(out)),
        };
        let may = self.runs_on(&request.command, &request.arguments);
        let offer = match may.len() {
            0 => "you may on none".to_owned(),
            1..=OFFERED => format!("you may on {may}"),
            _ => "`nodes` lists those that you may see".to_owned(),
        };
        let why = self.unresolved_note(&[Right::List, Right::Run], Some(&request.command));
        let command = shorten(&request.command);
        Status::permission_denied(format!(
            "you may not run {command} on all of {asked}, or not all of it is there{why}; {offer}; nothing was run"
        ))
    }

    /// The nodes that the caller may see and run the command on, folded.
    pub(crate) fn runs_on(&self, command: &str, arguments: &[String]) -> String {
        let question = self.decider.prepare_question(AccessRequest {
            right: Right::Run,
            command,
            arguments,
            brings: RunRequirements::NONE,
        });
        let listed = self.visible_nodes().iter();
        let may =
            listed.filter(|&(at, _)| question.decide(PolicyTarget::Node(Some(at))).is_possible());
        action_proto::fold(may.map(|(_, node)| node.name.as_str()))
    }
}

fn shorten(text: &str) -> String {
    let text = shown_set(text);
    let short = text.chars().take(SHOWN).flat_map(char::escape_debug);
    let cut = if text.chars().count() > SHOWN {
        ".."
    } else {
        ""
    };
    short.chain(cut.chars()).collect()
}
