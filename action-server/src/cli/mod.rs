//! The command line of `action-server`: parses, does what it says, and turns what went wrong
//! into a message and an exit code.

mod accept;
mod check;
mod explain;
mod failure;
mod generate_token;
#[cfg(test)]
mod reference;
mod revoke;
mod tokens;
mod usage;

use std::{
    borrow::Cow,
    env, io,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use action_proto::escape_unsafe;
use clap::{Parser, Subcommand, error::ErrorKind};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, watch},
};

use crate::{
    app::{self, ServeError, ServerSignals},
    cert,
    config::{DEFAULT_PATH, LogFormat, Settings},
    init, log,
    process::{inherited_listener, prepare_server},
    record,
};
use failure::VerbFailure;

/// sysexits.h: the command line is wrong.
const USAGE: u8 = 64;
/// sysexits.h: the configuration is wrong.
const CONFIG: u8 = 78;

/// Run an admin's scripts on cluster nodes for callers with a token, and stream their output
#[derive(Debug, Parser)]
#[command(name = "action-server", version, max_term_width = 100)]
struct ServerCli {
    /// The settings file [default: /etc/action/server.yaml]
    #[arg(long, global = true, value_name = "FILE", env = "ACTION_SERVER_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: ServerVerb,
}

#[derive(Debug, Subcommand)]
enum ServerVerb {
    /// Run the server
    Serve {
        /// Listen on this address instead of the one in the settings; port 0 picks a free one
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<String>,
    },
    /// Print a token for a caller
    GenerateToken(generate_token::TokenArgs),
    /// List the tokens that generate-token has made
    Tokens(tokens::TokensArgs),
    /// Revoke tokens; returns once that is in force
    Revoke(revoke::RevokeArgs),
    /// Show who may run what on which nodes, and by which rule
    Explain(explain::ExplainArgs),
    /// Check the settings, nodes and commands
    Check,
    /// Accept an edit of the nodes file that removes many nodes, or many members of a group
    ///
    /// The server does not use such an edit by itself, since the file may be written only in part.
    /// Only the file as it is now is accepted.
    AcceptNodes,
    /// Accept a system clock that jumped, so that old records are removed again
    ///
    /// The server does not remove records for their age while the clock differs from what uptime
    /// explains. It believes the clock by itself once that is right again, or steady for a day.
    AcceptClock,
    /// Write a certificate that the server signs itself, and its key
    Cert {
        /// Where to write; nothing that is there is overwritten
        directory: PathBuf,
        /// A host name or IP address that clients call the server by; may be repeated
        /// [default: this host's name, localhost, 127.0.0.1, ::1]
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
    },
    /// Read the records of runs
    Runs {
        #[command(subcommand)]
        verb: RunsVerb,
    },
    /// Write settings, demo nodes, commands, a secret and a client's configuration
    Init {
        /// Where to write; made if it is not there. Nothing that is there is overwritten
        directory: PathBuf,
        /// The address to listen on
        #[arg(long, value_name = "ADDRESS", default_value = init::DEFAULT_LISTEN)]
        listen: String,
    },
}

#[derive(Debug, Subcommand)]
enum RunsVerb {
    /// Print every event of a run as one JSON object a line
    Export {
        /// The run's id, or its beginning
        run: String,
    },
}

/// Runs the program with the process's own arguments and environment.
pub fn main() -> ExitCode {
    let cli = match ServerCli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let error = usage::without_secrets(error);
            // Where the message cannot be written, the exit code is left.
            _ = error.print();
            let asked = matches!(
                error.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            );
            return ExitCode::from(if asked { 0 } else { USAGE });
        }
    };
    let config = cli.config.unwrap_or_else(|| DEFAULT_PATH.into());
    let done = match cli.verb {
        ServerVerb::Serve { listen } => run_server(&config, listen),
        ServerVerb::GenerateToken(args) => generate_token::generate_token(&config, args),
        ServerVerb::Tokens(args) => tokens::list_tokens(&config, args),
        ServerVerb::Revoke(args) => revoke::revoke_tokens(&config, args),
        ServerVerb::Explain(args) => explain::explain_policy(&config, args),
        ServerVerb::Check => check::check_all(&config),
        ServerVerb::AcceptNodes => accept::accept_nodes(&config),
        ServerVerb::AcceptClock => accept::accept_clock(&config),
        ServerVerb::Runs {
            verb: RunsVerb::Export { run },
        } => export_run(&config, &run),
        ServerVerb::Cert { directory, names } => print_made(cert::cert(&directory, &names)),
        ServerVerb::Init { directory, listen } => print_made(init::init(&directory, &listen)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut text = format!("error: {}\n", failure.message);
            if let Some(hint) = failure.hint {
                text += &format!("hint: {hint}\n");
            }
            print_note(&text);
            ExitCode::from(failure.code)
        }
    }
}

/// Names and texts of libraries that drive the terminal come out escaped.
fn for_people(text: &str) -> Cow<'_, str> {
    escape_unsafe(text, &['\n', '\t'])
}

fn print_text(text: &str) -> Result<(), VerbFailure> {
    match io::stdout().write_all(for_people(text).as_bytes()) {
        // A reader that has had enough is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints what was made.
fn print_made<E: Into<VerbFailure>>(made: Result<String, E>) -> Result<(), VerbFailure> {
    print_text(&made.map_err(Into::into)?)
}

fn print_note(text: &str) {
    // Talk beside the data: losing it loses nothing.
    _ = io::stderr().write_all(for_people(text).as_bytes());
}

fn run_server(config: &Path, listen: Option<String>) -> Result<(), VerbFailure> {
    let inherited = inherited_listener()?;
    let listen = listen.map(|address| ("ACTION_SERVER_LISTEN".to_owned(), address));
    let settings = Settings::load(config, environment().chain(listen))?;
    let _log = log::start(&settings)?;
    prepare_server(settings.umask)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        let signals = listen_to_signals()?;
        let listener = listen_on(&settings, inherited).await?;
        app::serve(settings, listener, signals)
            .await
            .map_err(|error| match error {
                ServeError::Auth(error) => error.into(),
                ServeError::Definitions(fault) => fault.into(),
                ServeError::Tls(_) => VerbFailure::of_config(&error),
                _ => VerbFailure::new(1, error.to_string()),
            })
    });
    // Blocking reads of a dead disk must not keep a server from stopping.
    runtime.shutdown_background();
    served
}

/// The socket that the service manager passed, else one on the address of the settings.
async fn listen_on(
    settings: &Settings,
    inherited: Option<std::net::TcpListener>,
) -> Result<TcpListener, VerbFailure> {
    let Some(inherited) = inherited else {
        return TcpListener::bind(settings.listen).await.map_err(|error| {
            VerbFailure::new(1, format!("cannot listen on {}: {error}", settings.listen))
        });
    };
    settings.allow_listening(inherited.local_addr()?)?;
    Ok(TcpListener::from_std(inherited)?)
}

fn load_settings(config: &Path) -> Result<Settings, VerbFailure> {
    Ok(Settings::load(config, environment())?)
}

fn environment() -> impl Iterator<Item = (String, String)> {
    // What is not UTF-8 is none of our settings.
    env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

fn listen_to_signals() -> io::Result<ServerSignals> {
    let (stop, stopped) = watch::channel(0_u32);
    let reload = Arc::new(Notify::new());
    for kind in [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::quit(),
    ] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                stop.send_modify(|times| *times = times.saturating_add(1));
            }
        });
    }
    let (mut hangups, reload_now) = (signal(SignalKind::hangup())?, Arc::clone(&reload));
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            reload_now.notify_one();
        }
    });
    // Whoever started the server may have had it ignored, and then no script could be waited for.
    let mut children = signal(SignalKind::child())?;
    tokio::spawn(async move { while children.recv().await.is_some() {} });
    Ok(ServerSignals { stopped, reload })
}

fn export_run(config: &Path, run: &str) -> Result<(), VerbFailure> {
    let settings = load_settings(config)?;
    let format = settings.log_format.unwrap_or(LogFormat::Text);
    let _log = log::start_on_stderr(&settings, format);
    let mut out = io::BufWriter::new(io::stdout().lock());
    let exported =
        record::export(&settings.state_directory, run, &mut out).and_then(|()| out.flush());
    match exported {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}
