//! `generate-token`: makes a token, enters it into the register, and prints it.

use std::{path::Path, thread::sleep, time::Duration};

use action_proto::{
    input::{shown_name, shown_set},
    names_with_other_padding,
};
use clap::builder::NonEmptyStringValueParser;

use super::{
    USAGE, VerbFailure, counted, load_settings, print_note, print_text, tokens::unusable_register,
};
use crate::{
    auth::{
        self, LONGEST_DAYS, NewToken, TokenGrant,
        register::{IssuedToken, register},
    },
    config::Settings,
    definitions::{self, DefinitionSources},
    init,
};

const DAY: u64 = 24 * 3600;
/// For how many days a token is good that nothing is said of.
const DEFAULT_DAYS: u32 = 30;

#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// For how many days the token is good [default: 30]
    #[arg(long, value_name = "DAYS", value_parser = parse_days)]
    days: Option<u32>,
    /// For how long the token is good, such as 90m or 12h, instead of whole days
    #[arg(long = "for", value_name = "TIME", conflicts_with = "days", value_parser = parse_lifetime)]
    lifetime: Option<Duration>,
    /// Who the token is for [default: the user who runs this]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The bearer's user id, which scripts see as request_uid
    #[arg(long, value_name = "N", value_parser = parse_uid)]
    uid: Option<u64>,
    /// A role of the bearer; may be repeated
    #[arg(long = "role", value_name = "ROLE", value_parser = NonEmptyStringValueParser::new())]
    roles: Vec<String>,
    /// Allow only commands that match this pattern, such as 'power-*'; may be repeated
    #[arg(long = "command", value_name = "PATTERN")]
    commands: Vec<String>,
    /// Allow only these nodes, as a node set
    #[arg(long, value_name = "NODES")]
    nodes: Option<String>,
    /// Sign with this secret of jwt_key_directory [default: its last by name that has no end, else
    /// the settings' own]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// Prints a token, and beside it what it grants.
pub(super) fn generate_token(config: &Path, args: TokenArgs) -> Result<(), VerbFailure> {
    let settings = load_settings(config)?;
    let commands = (!args.commands.is_empty()).then_some(args.commands);
    if let Some(nodes) = &args.nodes {
        check_nodes(&settings, nodes)?;
    }
    for pattern in unknown_commands(&settings, commands.as_deref().unwrap_or_default()) {
        print_note(&format!(
            "warning: --command {}: there is no such command\n",
            shown_set(pattern)
        ));
    }
    let days = args.days.unwrap_or(DEFAULT_DAYS);
    let (option, lifetime, lasts) = match args.lifetime {
        Some(lifetime) => {
            let lasts = humantime::format_duration(lifetime).to_string();
            ("--for", lifetime, lasts)
        }
        None => {
            let lifetime = Duration::from_secs(u64::from(days) * DAY);
            ("--days", lifetime, counted(days as usize, "day"))
        }
    };
    let most = settings.auth.terms.lifetime;
    if lifetime > most {
        let most = humantime::format_duration(most);
        let text = format!("{option}: the settings' jwt_lifetime is {most}");
        return Err(VerbFailure::new(USAGE, text));
    }
    let new = NewToken {
        subject: args.subject.unwrap_or_else(init::own_name),
        lifetime,
        uid: args.uid,
        roles: args.roles,
        grant: TokenGrant {
            commands,
            nodes: args.nodes,
        },
    };
    let (token, issued) = mint_accepted(&settings, args.key.as_deref(), &new)?;
    // First: a token that is not in the register must not be handed out.
    register(&settings.state_directory, settings.trust, &issued).map_err(|error| {
        let failure = unusable_register(&error);
        let message = format!("{}; no token was made", failure.message);
        VerbFailure { message, ..failure }
    })?;
    print_note(&token_summary(&issued, &lasts, &settings));
    print_text(&format!("{token}\n"))
}

/// Checks that a token's node set selects nodes that are defined.
fn check_nodes(settings: &Settings, nodes: &str) -> Result<(), VerbFailure> {
    let (catalogue, _) = definitions::load(&DefinitionSources::new(settings))?;
    // A run may use the last good definition of a broken group, and a token may not.
    let failed = |reason: String| VerbFailure::new(USAGE, format!("--nodes: {reason}"));
    let coverage = catalogue.nodes.cover(nodes);
    let coverage = coverage.map_err(|error| failed(error.to_string()))?;
    let undefined = coverage.undefined.as_str();
    if !undefined.is_empty() {
        let defined = catalogue.nodes.list().iter();
        let defined = defined.map(|node| node.name.as_str());
        let near = action_proto::fold(names_with_other_padding(undefined, defined));
        let hint = (!near.is_empty()).then(|| format!("did you mean {near}?"));
        return Err(failed(format!("no such node: {}", shown_set(undefined))).or_hint(hint));
    }
    if !coverage.sure.contains(&true) {
        let nodes = shown_set(nodes);
        return Err(failed(format!("the node set {nodes:?} selects no node")));
    }
    Ok(())
}

/// Makes a token that the server accepts.
fn mint_accepted(
    settings: &Settings,
    key: Option<&str>,
    new: &NewToken,
) -> Result<(String, IssuedToken), VerbFailure> {
    let keys = settings.auth.keys()?;
    let mint = || {
        auth::mint(&keys, key, &settings.auth.terms, new.clone())
            .map_err(|error| VerbFailure::new(USAGE, error.to_string()))
    };
    let check = |token: &str| {
        let state = &settings.state_directory;
        settings.auth.check_new_token(&keys, state, token)
    };
    let (mut token, mut issued) = mint()?;
    if check(&token)?.is_err() {
        // What was revoked a moment ago ends with this second.
        sleep(Duration::from_millis(1100));
        (token, issued) = mint()?;
        check(&token)?.map_err(|error| VerbFailure {
            hint: Some("if its key is revoked, remove it, or name another with --key".into()),
            ..VerbFailure::new(1, format!("the token would not be good: {error}"))
        })?;
    }
    Ok((token, issued))
}

/// Those of the patterns that match none of the server's commands, where these can be read.
fn unknown_commands<'a>(settings: &Settings, patterns: &'a [String]) -> Vec<&'a String> {
    let loaded = match patterns {
        [] => None,
        _ => definitions::load(&DefinitionSources::new(settings)).ok(),
    };
    let Some((catalogue, _)) = loaded else {
        return Vec::new();
    };
    let names = || catalogue.commands.keys().chain(catalogue.broken.keys());
    let is_unknown = |pattern: &&String| {
        let grant = TokenGrant {
            commands: Some(vec![(*pattern).clone()]),
            nodes: None,
        };
        !names().any(|name| grant.allows_command(name))
    };
    patterns.iter().filter(is_unknown).collect()
}

/// What is printed beside the token.
fn token_summary(issued: &IssuedToken, lasts: &str, settings: &Settings) -> String {
    let shown = |texts: &[String], shown: fn(&str) -> String| {
        let texts: Vec<String> = texts.iter().map(|text| shown(text)).collect();
        texts.join(", ")
    };
    let all = |limit: Option<String>| limit.unwrap_or_else(|| "all".to_owned());
    let mut text = format!(
        "subject:  {}\nexpires:  {} (in {lasts})\njti:      {}\ncommands: {}\nnodes:    {}\n",
        issued.subject,
        auth::format_time(issued.expires),
        issued.jti,
        all(issued.commands.as_ref().map(|it| shown(it, shown_set))),
        all(issued.nodes.as_deref().map(shown_set)),
    );
    if !issued.roles.is_empty() {
        text += &format!("roles:    {}\n", shown(&issued.roles, shown_name));
    }
    if settings.auth.policy.is_some() {
        text += "and of that what the policy allows: action-server explain\n";
    }
    text
}

fn parse_days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok();
    let days = days.filter(|&days| (1..=LONGEST_DAYS).contains(&u64::from(days)));
    days.ok_or_else(|| format!("expected a whole number from 1 to {LONGEST_DAYS}, as in `30`"))
}

fn parse_uid(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "expected a whole number from 0, as in `1000`".to_owned())
}

fn parse_lifetime(text: &str) -> Result<Duration, String> {
    let seconds = humantime::parse_duration(text).ok().map(|it| it.as_secs());
    let seconds = seconds.filter(|seconds| (1..=LONGEST_DAYS * DAY).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        format!("expected a number with a unit, from 1s to {LONGEST_DAYS}d, as in `90m`")
    })
}
