//! Owns the verbs, one file for each: its arguments and what it does. `session` is what those
//! that follow a run have in common.

pub(crate) mod attach;
pub(crate) mod can_i;
pub(crate) mod cancel;
pub(crate) mod completion;
pub(crate) mod help;
pub(crate) mod nodes;
mod plan;
pub(crate) mod rerun;
pub(crate) mod run;
pub(crate) mod runs;
mod session;
pub(crate) mod show;
pub(crate) mod suggest;

use crate::cli::globals::{Format, GlobalArgs};
use crate::complete::known::{Store, now};
use crate::config::Config;
use crate::connection::Connection;
use crate::environment::Environment;
use crate::error::{CliError, Result};
use crate::render::output::{Output, Target};
use crate::render::report;
use action_proto::v1::Command;
use std::time::Duration;

/// What every verb works with.
pub(crate) struct Context<'a> {
    /// The global flags.
    pub(crate) globals: GlobalArgs,
    /// The process's environment.
    pub(crate) environment: &'a Environment,
    /// Where to write.
    pub(crate) output: &'a mut Output,
    /// Whether the configuration was warned of: a verb may connect more than once.
    pub(crate) is_warned: bool,
}

impl Context<'_> {
    /// Connects to the configured server.
    pub(crate) async fn connect(&mut self) -> Result<Connection> {
        self.connect_within(Duration::MAX).await
    }

    async fn connect_within(&mut self, patience: Duration) -> Result<Connection> {
        let config = Config::load(self.globals.config.as_deref(), self.environment)?;
        if !std::mem::replace(&mut self.is_warned, true) {
            self.warn_of(&config)?;
        }
        Connection::open(&config, config.timeout.min(patience)).await
    }

    fn warn_of(&mut self, config: &Config) -> Result<()> {
        if !config.verify_ssl && config.base_url.scheme_str() == Some("https") {
            let text = "verify_ssl is false: anyone on the way can pose as the server";
            report::warning(text, self.output)?;
        }
        // A program could do nothing about it.
        if self.output.is_terminal(Target::Stderr) && !self.is_json() {
            let warning = config.token.expiry_warning(now());
            warning.map_or(Ok(()), |text| report::warning(&text, self.output))?;
        }
        Ok(())
    }

    /// The server's commands, if it answers soon enough.
    pub(crate) async fn commands_within(&mut self, patience: Duration) -> Result<Vec<Command>> {
        let commands = self.connect_within(patience).await?.list_commands().await?;
        self.learn(|store| store.learn_commands(&commands));
        Ok(commands)
    }

    /// The server's commands, or those that it had when it was asked last: then also why they
    /// are not newer, and how old they are. Empty when nothing is known.
    pub(crate) async fn commands_or_known(
        &mut self,
        patience: Duration,
    ) -> (Vec<Command>, Option<(CliError, String)>) {
        let error = match self.commands_within(patience).await {
            Ok(commands) => return (commands, None),
            Err(error) => error,
        };
        let known = self.store().map(|store| store.load()).unwrap_or_default();
        let text = if known.commands.is_empty() {
            "the server's commands are missing".to_owned()
        } else {
            let age = Duration::from_secs(now().saturating_sub(known.commands_at));
            let age = humantime::format_duration(age);
            format!("the server is away, and these are its commands of {age} ago")
        };
        (known.commands, Some((error, text)))
    }

    /// Keeps for completion, and for help without the server, what the server has said.
    pub(crate) fn learn(&self, told: impl FnOnce(&Store)) {
        if let Some(store) = self.store() {
            told(&store);
        }
    }

    /// Where that is kept.
    pub(crate) fn store(&self) -> Option<Store> {
        Store::find(self.globals.config.as_deref(), self.environment)
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(&self) -> bool {
        self.globals.output == Format::Json
    }
}
