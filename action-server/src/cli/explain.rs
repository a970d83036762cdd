//! `explain`: who may run what on which nodes, and by which rule, as the server would decide now.

use std::{path::Path, sync::Arc};

use action_proto::input::{shown_name, shown_set};
use clap::builder::NonEmptyStringValueParser;

use super::{USAGE, VerbFailure, load_settings, print_note, print_text};
use crate::{
    auth::policy::{PolicyAudience, no_such_subject},
    catalogue::{Catalogue, Node},
    definitions::{self, DefinitionSources},
    rpc::{CallerAccess, resolve_policy},
};

#[derive(Debug, clap::Args)]
pub(super) struct ExplainArgs {
    /// Whom to tell of [default: every subject and role that the policy names]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// A role that the subject's token says; may be repeated
    #[arg(long = "role", value_name = "ROLE", requires = "subject",
        value_parser = NonEmptyStringValueParser::new())]
    roles: Vec<String>,
    /// Tell of this command only
    #[arg(long, value_name = "COMMAND")]
    command: Option<String>,
    /// Tell of these nodes only [default: all]
    #[arg(long, short = 'g', value_name = "NODES")]
    nodes: Option<String>,
    /// The arguments of the run [default: none]
    #[arg(value_name = "ARG", requires = "command")]
    arguments: Vec<String>,
}

/// Prints what callers may do.
pub(super) fn explain_policy(config: &Path, args: ExplainArgs) -> Result<(), VerbFailure> {
    let settings = load_settings(config)?;
    let policy = Arc::new(settings.auth.read_policy()?);
    let (catalogue, faults) = definitions::load(&DefinitionSources::new(&settings))?;
    // What could not be read now might make another answer.
    if let Some(fault) = faults.iter().find(|fault| fault.is_transient) {
        return Err(fault.clone().into());
    }
    for fault in faults.iter().filter(|fault| fault.is_error()) {
        print_note(&format!("warning: {fault}\n"));
    }
    let nodes = requested_nodes(&catalogue, args.nodes.as_deref())?;
    let nodes: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let mut text = String::new();
    let (rules, faults) = resolve_policy(&policy, &catalogue);
    let rules = Arc::new(rules);
    for fault in &faults {
        text += &format!("{fault}\n");
    }
    let catalogue = Arc::new(catalogue);
    let commands = requested_commands(&catalogue, args.command.as_deref())?;
    let audiences = match args.subject {
        Some(subject) => {
            let audience = policy.audience(&subject, args.roles);
            vec![audience.ok_or_else(|| impossible_subject(&subject))?]
        }
        None => policy.audiences(),
    };
    for audience in &audiences {
        text += &format!("{}\n", audience.heading);
        let access =
            CallerAccess::new(&audience.caller, Arc::clone(&rules), Arc::clone(&catalogue));
        for sentence in rule_sentences(&access, audience, args.command.as_deref()) {
            text += &format!("  {sentence}\n");
        }
        text += &by_command(&commands, &args.arguments, |command| {
            match catalogue.broken.get(command) {
                Some(reason) => format!("broken: {reason}"),
                None => access.explain(command, &nodes, &args.arguments).join("; "),
            }
        });
    }
    print_text(&text)
}

/// The nodes to explain: those of the set, or all.
fn requested_nodes(
    catalogue: &Catalogue,
    set: Option<&str>,
) -> Result<Vec<Arc<Node>>, VerbFailure> {
    let all = catalogue.nodes.list();
    let Some(set) = set else {
        // Unlike `@*`, which must select some, these may be none.
        return Ok(all.to_vec());
    };
    let limit = catalogue.node_limit.max(all.len());
    let selected = catalogue.nodes.select(set, "", limit);
    selected.map_err(|error| VerbFailure::new(USAGE, format!("--nodes: {error}")))
}

/// The commands to explain, sorted: one, or all.
fn requested_commands<'a>(
    catalogue: &'a Catalogue,
    only: Option<&str>,
) -> Result<Vec<&'a str>, VerbFailure> {
    let names = catalogue.commands.keys().chain(catalogue.broken.keys());
    let names = names.map(String::as_str);
    let mut commands: Vec<&str> = names
        .filter(|name| only.is_none_or(|only| only == *name))
        .collect();
    commands.sort_unstable();
    match only {
        Some(command) if commands.is_empty() => {
            let text = format!("no such command: {}", shown_name(command));
            Err(VerbFailure::new(USAGE, text))
        }
        _ => Ok(commands),
    }
}

fn impossible_subject(subject: &str) -> VerbFailure {
    let subject = shown_set(subject);
    let text = format!("--subject: {}", no_such_subject(&format!("{subject:?}")));
    VerbFailure::new(USAGE, text)
}

/// The rules about the callers, in words.
fn rule_sentences(
    access: &CallerAccess,
    audience: &PolicyAudience<'_>,
    command: Option<&str>,
) -> Vec<String> {
    let mut sentences = access.rules_in_words(command);
    if sentences.is_empty() {
        sentences.push(match command {
            None => "no rule allows anything".to_owned(),
            Some(command) => format!("no rule is about {command}"),
        });
    }
    for (start, rules) in [
        (
            "some of them are also named by the",
            &audience.also_named_by,
        ),
        (
            "some of them are not named by the",
            &audience.partly_named_by,
        ),
    ] {
        let rules = rules.iter();
        let about = rules.filter(|rule| command.is_none_or(|name| rule.is_about_command(name)));
        let names: Vec<String> = about.map(|rule| format!("{:?}", rule.name)).collect();
        match names.as_slice() {
            [] => {}
            [name] => sentences.push(format!("{start} rule {name}")),
            names => sentences.push(format!("{start} rules {}", names.join(", "))),
        }
    }
    sentences
}

/// What comes of the rules for each command.
fn by_command(commands: &[&str], arguments: &[String], explain: impl Fn(&str) -> String) -> String {
    // A secret may stand where a broken command has its name.
    let shown: Vec<String> = commands.iter().map(|name| shown_name(name)).collect();
    let width = shown.iter().map(String::len).max().unwrap_or(0);
    let mut text = match arguments {
        [] => "  by command, without arguments:\n".to_owned(),
        _ => {
            let arguments: Vec<String> = arguments.iter().map(|it| shown_set(it)).collect();
            format!("  by command, with the arguments {arguments:?}:\n")
        }
    };
    for (command, shown) in commands.iter().zip(&shown) {
        text += &format!("    {shown:width$}  {}\n", explain(command));
    }
    text
}
