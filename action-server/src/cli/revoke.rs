//! `revoke`: writes a revocation, and returns once it is in force.

use std::{
    path::Path,
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use action_proto::input::shown_name;

use super::{USAGE, VerbFailure, counted, environment, print_note};
use crate::{
    auth::{
        self, is_own_token_id, is_token_id,
        register::{IssuedToken, RegisterError, TokenRegister},
        revocation::{self, Revocation, RevocationError},
    },
    config::Settings,
    record, shown,
};

/// How long the server that runs has to take a revocation up.
const TAKE_UP_LIMIT: Duration = Duration::from_secs(10);
const TAKE_UP_PAUSE: Duration = Duration::from_millis(20);
/// How many tokens are listed that a beginning may mean.
const MOST_LISTED: usize = 10;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["jti", "subject", "key", "all"])))]
pub(super) struct RevokeArgs {
    /// The token with this jti, or the only issued token whose jti begins so
    #[arg(long, value_parser = parse_token_id)]
    jti: Option<String>,
    /// Take --jti as a whole jti, as of tokens that are made elsewhere
    #[arg(long, requires = "jti")]
    exact: bool,
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

/// Whoever has a token at hand may give all of it, which must not be written down anywhere.
fn parse_token_id(text: &str) -> Result<String, String> {
    if text.starts_with("eyJ") && text.matches('.').count() == 2 {
        let reason = "this is a whole token; its jti is what generate-token prints beside it";
        return Err(reason.to_owned());
    }
    Ok(text.to_owned())
}

fn parse_time(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text)
        .map_err(|_| "not a time such as 2027-01-31T12:00:00Z".to_owned())
}

/// Revokes tokens.
pub(super) fn revoke_tokens(config: &Path, args: RevokeArgs) -> Result<(), VerbFailure> {
    // A secret that leaked may be gone already.
    let (settings, _) = Settings::load_without_secret(config, environment())?;
    let before = args.before.unwrap_or_else(SystemTime::now);
    if before > SystemTime::now() {
        let text = "--before: that is yet to come, and would end tokens that are not made yet";
        return Err(VerbFailure::new(USAGE, text));
    }
    let seconds = before.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = seconds.as_secs();
    let before = auth::format_time(seconds);
    let register = TokenRegister::read(&settings.state_directory, settings.trust);
    let mut warning = None;
    let (entry, revoked) = match (args.jti, args.subject, args.key) {
        (Some(jti), ..) => {
            let found = find_token(&jti, args.exact, &register)?;
            warning = found.warning;
            let revoked = format!("the token {}", found.jti);
            (Revocation::Token { jti: found.jti }, revoked)
        }
        (_, Some(subject), _) => {
            warning = unknown_subject(&subject, seconds, &register);
            let revoked = format!("the tokens of {subject} that were made up to {before}");
            (Revocation::Subject { subject, before }, revoked)
        }
        (.., Some(key)) => {
            if !settings.auth.has_key(&key) {
                warning = Some(format!("there is no key {key} that can be used"));
            }
            let revoked = format!("the tokens of the key {key}");
            (Revocation::Key { key }, revoked)
        }
        _ => {
            let revoked = format!("all tokens that were made up to {before}");
            (Revocation::All { before }, revoked)
        }
    };
    let path = &settings.auth.revocations;
    revocation::revoke(path, settings.trust, &entry).map_err(|error| match error {
        // Nothing was written: it was the new line that cannot be.
        RevocationError::Entry(reason) => VerbFailure::new(USAGE, reason),
        error => auth::OpenError::from(error).into(),
    })?;
    let late = wait_until_in_force(&settings);
    for warning in warning.into_iter().chain(late) {
        print_note(&format!("warning: {warning}\n"));
    }
    print_note(&format!("revoked: {revoked}\n"));
    Ok(())
}

/// Which token is meant, and what to warn of.
struct FoundToken {
    jti: String,
    warning: Option<String>,
}

/// Finds the token that a whole `jti` or its beginning means. A beginning that means none must not
/// pass for a whole one: what could be the beginning of our own is refused unless it is known.
fn find_token(
    jti: &str,
    is_exact: bool,
    register: &Result<TokenRegister, RegisterError>,
) -> Result<FoundToken, VerbFailure> {
    let whole = |jti: &str| FoundToken {
        jti: jti.to_owned(),
        warning: unknown_token(register, |token| token.jti == jti, "no token of this jti"),
    };
    if is_exact || !is_token_id(jti) {
        // What is no jti at all is refused where it would be written.
        return Ok(whole(jti));
    }
    let tokens = register
        .as_ref()
        .ok()
        .into_iter()
        .flat_map(TokenRegister::tokens);
    // Ours are 32 small letters and digits; what is copied from elsewhere may be capitals or a UUID.
    let small = jti.to_ascii_lowercase();
    let plain = small.replace('-', "");
    let is_meant = |token: &&IssuedToken| {
        let known = token.jti.to_ascii_lowercase();
        known.starts_with(&small) || (is_own_token_id(&plain) && known == plain)
    };
    let mut matches: Vec<_> = tokens.filter(is_meant).collect();
    // A register that was put together of two may have a token twice.
    matches.sort_by(|a, b| a.jti.cmp(&b.jti));
    matches.dedup_by(|a, b| a.jti == b.jti);
    let found = matches.iter().find(|token| token.jti == jti);
    match (found, matches.as_slice()) {
        (Some(token), _) | (None, [token]) => Ok(FoundToken {
            jti: token.jti.clone(),
            warning: None,
        }),
        (None, []) if is_own_token_id(jti) || !is_part_or_pattern(jti) => Ok(whole(jti)),
        (None, []) => {
            let shown = shown_name(jti);
            let reason = match register {
                Ok(register) => format!(
                    "no issued token has a jti that begins with {shown}{}",
                    damage_note(register)
                ),
                Err(error) => format!("{shown} is no whole jti, and {error}"),
            };
            Err(VerbFailure {
                hint: Some(
                    "give the whole jti, as `action-server tokens` and the logs have it; for a token that was made elsewhere add --exact".into(),
                ),
                ..VerbFailure::new(1, format!("{reason}; nothing was revoked"))
            })
        }
        (None, several) => Err(ambiguous_token(jti, several)),
    }
}

/// True for what can hardly be a whole `jti` of another issuer: a pattern, and what could be a part of
/// ours or of a UUID, in any letters, also in quotes or cut short with dots.
fn is_part_or_pattern(jti: &str) -> bool {
    let letters = jti.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let is_whole_uuid = jti.len() == 36 && jti.matches('-').count() == 4;
    let is_part = |b: u8| b.is_ascii_hexdigit() || b == b'-';
    jti.contains(['*', '?']) || (letters.bytes().all(is_part) && !is_whole_uuid)
}

fn ambiguous_token(jti: &str, tokens: &[&IssuedToken]) -> VerbFailure {
    let count = tokens.len();
    let mut text =
        format!("{count} issued tokens have a jti that begins with {jti}; nothing was revoked");
    for token in tokens.iter().take(MOST_LISTED) {
        let (jti, subject) = (&token.jti, &token.subject);
        text += &format!(
            "\n  {jti}  {subject}, expires {}",
            auth::format_time(token.expires)
        );
    }
    if count > MOST_LISTED {
        text += &format!("\n  and {} more", count - MOST_LISTED);
    }
    VerbFailure {
        hint: Some("give more of the jti".into()),
        ..VerbFailure::new(1, text)
    }
}

/// What to warn of where the register has no token that a subject's revocation ends.
fn unknown_subject(
    subject: &str,
    before: u64,
    register: &Result<TokenRegister, RegisterError>,
) -> Option<String> {
    let is_theirs = |token: &IssuedToken| token.subject == subject && token.issued <= before;
    let warning = unknown_token(
        register,
        is_theirs,
        &format!("no token of {} made so far", shown_name(subject)),
    )?;
    let is_near = |token: &&IssuedToken| {
        token.subject != subject && token.subject.eq_ignore_ascii_case(subject)
    };
    let near = register
        .iter()
        .flat_map(TokenRegister::tokens)
        .find(is_near);
    Some(match near {
        Some(token) => format!("{warning}; did you mean {}?", token.subject),
        None => warning,
    })
}

/// What to warn of where the register has no such token.
fn unknown_token(
    register: &Result<TokenRegister, RegisterError>,
    is_meant: impl Fn(&IssuedToken) -> bool,
    none: &str,
) -> Option<String> {
    match register {
        Ok(register) if register.tokens().any(is_meant) => None,
        Ok(register) => Some(format!(
            "the register of issued tokens has {none}: it may have been made elsewhere, or be misspelt{}",
            damage_note(register)
        )),
        Err(error) => Some(format!(
            "it is not known whether there is such a token: {error}"
        )),
    }
}

/// What to add where a line of the register that cannot be read may have the token.
fn damage_note(register: &TokenRegister) -> String {
    match register.damaged_lines() {
        0 => String::new(),
        damaged => format!(
            "; {} of the register cannot be read and may have it",
            counted(damaged, "line")
        ),
    }
}

/// Waits until the server that runs, if one does, has taken up the revocations as they are now.
/// Returns what to warn of where that is not known.
fn wait_until_in_force(settings: &Settings) -> Option<String> {
    let state = &settings.state_directory;
    let began = Instant::now();
    loop {
        match record::is_served(state) {
            // The next server reads them before it takes calls.
            Ok(false) => return None,
            Ok(true) => {}
            Err(error) => {
                let state = shown::file(state);
                return Some(format!(
                    "it is not known whether a server runs on {state}: {error}; one that runs takes this up within a second"
                ));
            }
        }
        if auth::is_in_use(state, &settings.auth.revocations).is_ok_and(|is_in_use| is_in_use) {
            return None;
        }
        if began.elapsed() > TAKE_UP_LIMIT {
            let limit = TAKE_UP_LIMIT.as_secs();
            return Some(format!(
                "the server has not taken this up within {limit} s and may still accept these tokens; its log says why"
            ));
        }
        sleep(TAKE_UP_PAUSE);
    }
}
