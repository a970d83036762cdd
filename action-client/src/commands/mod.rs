//! The verbs: a file for each, with its arguments and its function.

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

use crate::arguments::globals::GlobalArgs;
use crate::arguments::program_alias::ProgramAlias;
use crate::complete::server_cache::{CacheFile, epoch_seconds};
use crate::config::Config;
use crate::connection::Connection;
use crate::environment::Environment;
use crate::error::{CliError, Result};
use crate::render::output::{OutputWriter, StdStream};
use crate::render::{OutputFormat, report};
use action_proto::v1::Command;
use std::time::Duration;

/// What every verb works with.
pub(crate) struct Context<'a> {
    /// The name that the program was called by.
    pub(crate) alias: ProgramAlias,
    /// The command line's definition, without the server's commands.
    pub(crate) root: clap::Command,
    pub(crate) globals: GlobalArgs,
    pub(crate) environment: &'a Environment,
    pub(crate) output: &'a mut OutputWriter,
    /// The configuration, once it was loaded. Loading may run a program for the token.
    pub(crate) config: Option<Config>,
    /// Whether the configuration was warned of: a verb may connect more than once.
    pub(crate) is_warned: bool,
}

impl Context<'_> {
    pub(crate) async fn connect(&mut self) -> Result<Connection> {
        self.connect_within(Duration::MAX).await
    }

    async fn connect_within(&mut self, timeout: Duration) -> Result<Connection> {
        let config = self.config()?.clone();
        if !std::mem::replace(&mut self.is_warned, true) {
            self.warn_of(&config)?;
        }
        Connection::open(&config, config.timeout.min(timeout)).await
    }

    fn config(&mut self) -> Result<&Config> {
        let config = match self.config.take() {
            Some(config) => config,
            None => Config::load(self.globals.config.as_deref(), self.environment)?,
        };
        Ok(self.config.insert(config))
    }

    fn warn_of(&mut self, config: &Config) -> Result<()> {
        if !config.verify_ssl && config.base_url.scheme_str() == Some("https") {
            let text = "verify_ssl is false: anyone on the way can pose as the server";
            report::print_warning(text, self.output)?;
        }
        // A program could do nothing about it.
        if self.output.is_terminal(StdStream::Stderr) && !self.is_json() {
            let warning = config.token.expiry_warning(epoch_seconds());
            warning.map_or(Ok(()), |text| report::print_warning(&text, self.output))?;
        }
        Ok(())
    }

    /// The server's commands, if it answers soon enough.
    pub(crate) async fn commands_within(&mut self, timeout: Duration) -> Result<Vec<Command>> {
        let commands = self.connect_within(timeout).await?.list_commands().await?;
        self.update_cache(|cache| cache.update_commands(&commands));
        Ok(commands)
    }

    /// The server's commands, or the cached ones with the error and their age. Empty without a cache.
    pub(crate) async fn commands_or_cached(
        &mut self,
        timeout: Duration,
    ) -> (Vec<Command>, Option<(CliError, String)>) {
        let error = match self.commands_within(timeout).await {
            Ok(commands) => return (commands, None),
            Err(error) => error,
        };
        let cache = self.cache_file().map(|it| it.load()).unwrap_or_default();
        let text = if cache.commands.is_empty() {
            "the server's commands are missing".to_owned()
        } else {
            let age = Duration::from_secs(epoch_seconds().saturating_sub(cache.commands_at));
            let age = humantime::format_duration(age);
            format!("the server is away, and these are its commands of {age} ago")
        };
        (cache.commands, Some((error, text)))
    }

    /// Keeps an answer of the server for completion, and for help without the server.
    pub(crate) fn update_cache(&mut self, update: impl FnOnce(&CacheFile)) {
        if let Some(cache) = self.cache_file() {
            update(&cache);
        }
    }

    /// Where answers are kept.
    pub(crate) fn cache_file(&mut self) -> Option<CacheFile> {
        let environment = self.environment;
        let config = self.config().ok()?;
        Some(CacheFile::of(config, environment))
    }

    pub(crate) fn is_json(&self) -> bool {
        self.globals.output == OutputFormat::Json
    }
}
