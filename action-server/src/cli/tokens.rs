//! `tokens`: lists the register of issued tokens.

use std::{io, path::Path};

use serde::Serialize;

use super::{VerbFailure, counted, environment, print_note, print_text};
use crate::{
    auth::{
        TokenState, TokenStates, format_time,
        register::{IssuedToken, RegisterError, TokenRegister},
    },
    config::Settings,
};

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct TokensArgs {
    /// How to print
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = ListFormat::Text)]
    output: ListFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum ListFormat {
    /// A table
    Text,
    /// One JSON object a line
    Json,
}

/// A token as a JSON object.
#[derive(Serialize)]
struct ListedToken<'a> {
    #[serde(flatten)]
    token: &'a IssuedToken,
    state: TokenState,
}

/// Prints each token of the register, the oldest first.
pub(super) fn list_tokens(config: &Path, args: TokensArgs) -> Result<(), VerbFailure> {
    let (settings, secret_fault) = Settings::load_without_secret(config, environment())?;
    let register = TokenRegister::read(&settings.state_directory, settings.trust)
        .map_err(|error| unusable_register(&error))?;
    let is_secret_known = secret_fault.is_none();
    let TokenStates { states, faults } = settings.auth.token_states(
        &settings.state_directory,
        is_secret_known,
        register.tokens(),
    );
    let secret_fault = secret_fault.map(|fault| fault.to_string());
    for fault in secret_fault.into_iter().chain(faults) {
        print_note(&format!("warning: {fault}\n"));
    }
    let tokens: Vec<_> = register.tokens().zip(states).collect();
    let damaged = register.damaged_lines();
    if damaged > 0 {
        print_note(&format!(
            "warning: {} of the register cannot be read\n",
            counted(damaged, "line")
        ));
    }
    match args.output {
        ListFormat::Text => print_text(&token_table(&tokens)),
        ListFormat::Json => {
            let mut text = String::new();
            for (token, state) in tokens {
                let line = serde_json::to_string(&ListedToken { token, state });
                let line = line.map_err(|error| VerbFailure::new(1, error.to_string()))?;
                text += &action_proto::escape_in_json(&line);
                text.push('\n');
            }
            print_text(&text)
        }
    }
}

/// The register can be neither read nor written, and what to do where that is known.
pub(super) fn unusable_register(error: &RegisterError) -> VerbFailure {
    let is_denied = match error {
        RegisterError::Unreadable { source, .. } | RegisterError::Unwritable { source, .. } => {
            source.kind() == io::ErrorKind::PermissionDenied
        }
        RegisterError::Untrusted(_) => false,
    };
    let hint = is_denied.then(|| "run it as root or as the server's user".to_owned());
    VerbFailure::new(1, error.to_string()).or_hint(hint)
}

fn token_table(tokens: &[(&IssuedToken, TokenState)]) -> String {
    let header = ["JTI", "SUBJECT", "STATE", "ISSUED", "EXPIRES", "MAY"].map(str::to_owned);
    let rows = tokens.iter().map(|(token, state)| {
        let state = match state {
            TokenState::Valid => "valid",
            TokenState::Revoked => "revoked",
            TokenState::Expired => "expired",
            TokenState::NoKey => "no key",
            TokenState::TooLong => "too long",
            TokenState::Unknown => "unknown",
        };
        [
            token.jti.clone(),
            token.subject.clone(),
            state.to_owned(),
            format_time(token.issued),
            format_time(token.expires),
            token_limits(token),
        ]
    });
    let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            text += &format!("{cell:width$}  ");
        }
        text += &row[5];
        text.push('\n');
    }
    text
}

/// The limits of a token. Roles and sets are free text: no control reaches the terminal.
fn token_limits(token: &IssuedToken) -> String {
    let mut parts = Vec::new();
    if let Some(commands) = &token.commands {
        parts.push(format!("commands {}", commands.join(", ")));
    }
    if let Some(nodes) = &token.nodes {
        parts.push(format!("nodes {nodes}"));
    }
    if !token.roles.is_empty() {
        parts.push(format!("roles {}", token.roles.join(", ")));
    }
    if let Some(key) = &token.key {
        parts.push(format!("key {key}"));
    }
    let text = if parts.is_empty() {
        "all".to_owned()
    } else {
        parts.join("; ")
    };
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
