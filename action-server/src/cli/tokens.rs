//! `generate-token` and `revoke`: tokens begin and end here.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{CONFIG, Failure, USAGE, environment, note, say};
use crate::{
    auth::{
        self, Authority, Claims, Grant, NewToken,
        revocation::{self, Revocation, RevocationError},
    },
    config::Settings,
    definitions::{self, Sources},
    init,
};

#[derive(Debug, clap::Args)]
pub(super) struct TokenArgs {
    /// For how many days the token is good
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// Who the token is for [default: the user who runs this]
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The bearer's user id, which scripts see as request_uid
    #[arg(long, value_name = "N")]
    uid: Option<u64>,
    /// A role of the bearer; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
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

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["jti", "subject", "key", "all"])))]
pub(super) struct RevokeArgs {
    /// The token with this jti
    #[arg(long, value_parser = parse_token_id)]
    jti: Option<String>,
    /// The tokens of this subject that were made so far
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// The tokens that this key of jwt_key_directory has signed, and will
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// All tokens that were made so far
    #[arg(long)]
    all: bool,
    /// With --subject and --all: only those that were made up to this time, such as
    /// 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with_all = ["jti", "key"], value_parser = parse_time)]
    before: Option<SystemTime>,
}

/// Prints a token, and beside it what it grants.
pub(super) fn generate(config: &Path, args: TokenArgs) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    let commands = (!args.commands.is_empty()).then_some(args.commands);
    if let Some(nodes) = &args.nodes {
        let (catalogue, _) = definitions::load(&Sources::new(&settings))
            .map_err(|fault| Failure::new(CONFIG, fault.to_string()))?;
        // A run may use the last good definition of a broken group, and a token may not.
        let covered = catalogue
            .nodes
            .cover(nodes)
            .map_err(|error| error.to_string());
        let is_right = covered.and_then(|coverage| match coverage.undefined.as_str() {
            "" if coverage.sure.contains(&true) => Ok(()),
            "" => Err(format!("the node set {nodes:?} selects no node")),
            names => Err(format!("no such node: {names}")),
        });
        is_right.map_err(|reason| Failure::new(USAGE, format!("--nodes: {reason}")))?;
    }
    let lifetime = settings.auth.terms.lifetime;
    if Duration::from_secs(u64::from(args.days) * 24 * 3600) > lifetime {
        let most = humantime::format_duration(lifetime);
        let text = format!("--days: the settings' jwt_lifetime is {most}");
        return Err(Failure::new(USAGE, text));
    }
    let new = NewToken {
        subject: args.subject.unwrap_or_else(init::own_name),
        days: args.days,
        uid: args.uid,
        roles: args.roles,
        grant: Grant {
            commands,
            nodes: args.nodes,
        },
    };
    let keys = settings.auth.keys()?;
    let mint = || {
        auth::mint(
            &keys,
            args.key.as_deref(),
            &settings.auth.terms,
            new.clone(),
        )
        .map_err(|error| Failure::new(USAGE, error.to_string()))
    };
    let (mut token, mut claims) = mint()?;
    settings.auth.check_revocations(&settings.state_directory)?;
    // Where nothing was ever served there is nothing revoked either.
    if let Ok(authority) = Authority::open(settings.auth.clone())
        && authority.verify(&token).is_err()
    {
        // What was revoked a moment ago ends with this second.
        sleep(Duration::from_millis(1100));
        (token, claims) = mint()?;
        authority.verify(&token).map_err(|error| Failure {
            hint: Some("if its key is revoked, remove it, or name another with --key".into()),
            ..Failure::new(1, format!("the token would not be good: {error}"))
        })?;
    }
    note(&told(&claims, args.days, &settings));
    say(&format!("{token}\n"))
}

fn told(claims: &Claims, days: u32, settings: &Settings) -> String {
    let all = |limit: Option<String>| limit.unwrap_or_else(|| "all".to_owned());
    let ends = UNIX_EPOCH + Duration::from_secs(claims.exp);
    let mut text = format!(
        "subject:  {}\nexpires:  {} (in {days} days)\njti:      {}\ncommands: {}\nnodes:    {}\n",
        claims.sub,
        humantime::format_rfc3339_seconds(ends),
        claims.jti,
        all(claims.commands.as_ref().map(|commands| commands.join(", "))),
        all(claims.nodes.clone()),
    );
    if !claims.roles.is_empty() {
        text += &format!("roles:    {}\n", claims.roles.join(", "));
    }
    if settings.auth.policy.is_some() {
        text += "and of that what the policy allows: action-server explain\n";
    }
    text
}

/// Whoever has a token at hand may give all of it, which must not be written down anywhere.
fn parse_token_id(text: &str) -> Result<String, String> {
    match text.starts_with("eyJ") && text.matches('.').count() == 2 {
        true => {
            Err("this is a whole token; its jti is what generate-token prints beside it".to_owned())
        }
        false => Ok(text.to_owned()),
    }
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "not a time such as 2027-01-31T12:00:00Z".to_owned())
}

/// Revokes tokens.
pub(super) fn revoke(config: &Path, args: RevokeArgs) -> Result<(), Failure> {
    let settings = Settings::load(config, environment())?;
    let before = args.before.unwrap_or_else(SystemTime::now);
    if before > SystemTime::now() {
        let text = "--before: that is yet to come, and would end tokens that are not made yet";
        return Err(Failure::new(USAGE, text));
    }
    let before = revocation::written(before);
    let (entry, told) = match (args.jti, args.subject, args.key) {
        (Some(jti), ..) => {
            let told = format!("the token {jti}");
            (Revocation::Token { jti }, told)
        }
        (_, Some(subject), _) => {
            let told = format!("the tokens of {subject} that were made up to {before}");
            (Revocation::Subject { subject, before }, told)
        }
        (.., Some(key)) => {
            let told = format!("the tokens of the key {key}");
            (Revocation::Key { key }, told)
        }
        _ => {
            let told = format!("all tokens that were made up to {before}");
            (Revocation::All { before }, told)
        }
    };
    let path = &settings.auth.revocations;
    revocation::revoke(path, settings.trust, &entry).map_err(|error| match error {
        // Nothing was written: it was the new line that cannot be.
        RevocationError::Entry(reason) => Failure::new(USAGE, reason),
        error => auth::OpenError::from(error).into(),
    })?;
    note(&format!("revoked: {told}\n"));
    Ok(())
}
