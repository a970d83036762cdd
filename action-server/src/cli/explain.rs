//! `explain`: who may run what on which nodes, and by which rule, as the server would decide now.

use std::{path::Path, sync::Arc};

use action_proto::input::{shown_name, shown_set};

use super::{Failure, environment, say};
use crate::{
    auth::Caller,
    config::Settings,
    definitions::{self, Sources},
    rpc::{Access, resolve},
};

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// Whom to tell of [default: every subject and role that the policy names]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// A role that the subject's token says; may be repeated
    #[arg(long = "role", value_name = "ROLE", requires = "subject")]
    roles: Vec<String>,
    /// Tell of this command only
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Tell of these nodes only
    #[arg(long, short = 'g', value_name = "NODES", default_value = "@*")]
    nodes: String,
    /// The arguments of the run [default: none]
    #[arg(value_name = "ARG", requires = "command")]
    arguments: Vec<String>,
}

/// Prints what callers may do.
pub(super) fn explain(config: &Path, args: ExplainArgs) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    let policy = Arc::new(settings.auth.read_policy()?);
    let (catalogue, _) =
        definitions::load(&Sources::new(&settings)).map_err(|fault| Failure::of_fault(&fault))?;
    let limit = catalogue.node_limit.max(catalogue.nodes.list().len());
    let asked = catalogue
        .nodes
        .select(&args.nodes, "", limit)
        .map_err(|error| Failure::new(super::USAGE, format!("--nodes: {error}")))?;
    let asked: Vec<&str> = asked.iter().map(|node| node.name.as_str()).collect();
    let mut text = String::new();
    let (rules, faults) = resolve(&policy, &catalogue);
    let rules = Arc::new(rules);
    for fault in &faults {
        text += &format!("{fault}\n");
    }
    let catalogue = Arc::new(catalogue);
    let commands: Vec<&str> = match &args.command {
        Some(command) => match catalogue.commands.get_key_value(command) {
            Some((name, _)) => vec![name],
            None => {
                return Err(Failure::new(
                    super::USAGE,
                    format!("no such command: {}", shown_name(command)),
                ));
            }
        },
        None => catalogue.commands.keys().map(String::as_str).collect(),
    };
    let callers = match args.subject {
        Some(subject) => vec![caller(&subject, args.roles)],
        None => {
            let named = policy.named_subjects().into_iter();
            let roles = policy.named_roles().into_iter();
            named
                .map(|subject| caller(subject, Vec::new()))
                .chain(roles.map(|role| caller("", vec![role.to_owned()])))
                .chain([caller("", Vec::new())])
                .collect()
        }
    };
    for caller in &callers {
        let roles = policy.roles_of(caller);
        text += &format!("{}\n", heading(caller, &roles));
        let access = Access::new(caller, Arc::clone(&rules), Arc::clone(&catalogue));
        for sentence in sentences(&access, args.command.as_deref()) {
            text += &format!("  {sentence}\n");
        }
        text += &by_command(&access, &commands, &asked, &args.arguments);
    }
    say(&text)
}

fn caller(subject: &str, roles: Vec<String>) -> Caller {
    Caller {
        subject: subject.to_owned(),
        roles,
        ..Caller::default()
    }
}

fn heading(caller: &Caller, roles: &[&str]) -> String {
    let roles: Vec<String> = roles.iter().map(|role| shown_name(role)).collect();
    let roles = roles.join(", ");
    let subject = shown_set(&caller.subject);
    match (subject.as_str(), roles.as_str()) {
        ("", "") => "anybody else with a token".to_owned(),
        ("", role) => format!("whoever has the role {role}"),
        (pattern, _) if pattern.contains(['*', '?']) => format!("subjects like {pattern}"),
        (subject, "") => subject.to_owned(),
        (subject, roles) => format!("{subject} (roles: {roles})"),
    }
}

/// What the rules say of the caller.
fn sentences(access: &Access, command: Option<&str>) -> Vec<String> {
    let sentences = access.rules_in_words(command);
    match sentences.is_empty() {
        true => vec!["no rule allows anything".to_owned()],
        false => sentences,
    }
}

/// What comes of the rules for each command.
fn by_command(access: &Access, commands: &[&str], asked: &[&str], arguments: &[String]) -> String {
    let width = commands.iter().map(|name| name.len()).max().unwrap_or(0);
    let mut text = match arguments {
        [] => "  by command, without arguments:\n".to_owned(),
        _ => format!("  by command, with the arguments {arguments:?}:\n"),
    };
    for command in commands {
        let parts = access.explain(command, asked, arguments).join("; ");
        text += &format!("    {command:width$}  {parts}\n");
    }
    text
}
