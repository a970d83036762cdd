//! The real client, called as a user calls it.

use std::path::PathBuf;

use crate::{
    program::{Ran, Running, hermetic, through_shell},
    site::Site,
    terminal::Session,
};

/// A way to call the client for one server. Nobody else's configuration or variables reach it.
#[derive(Debug, Clone)]
#[must_use]
pub struct Client {
    program: PathBuf,
    home: PathBuf,
    variables: Vec<(String, String)>,
    hidden: Vec<(String, String)>,
}

impl Client {
    /// The client with the site's `client.yaml` as its configuration.
    pub fn new(site: &Site) -> Client {
        Client::without_configuration(site)
            .variable("ACTION_CLIENT_CONFIG", site.path("client.yaml"))
    }

    /// The client of a user who has configured nothing.
    pub fn without_configuration(site: &Site) -> Client {
        // The entry points of the server's packages, and the client itself.
        for name in ["power", "estate", "flight-power", "flight-estate"] {
            let program = crate::program::program("action-client");
            crate::program::under_name(&program, &site.path("bin"), name);
        }
        Client {
            program: site.program("action-client"),
            home: site.path("home"),
            variables: Vec::new(),
            hidden: site.hidden(),
        }
    }

    /// The same under another name, as a link of that name calls it.
    pub fn called(mut self, name: &str) -> Client {
        self.program.set_file_name(name);
        self
    }

    /// The same with a variable in its environment.
    pub fn variable(mut self, name: &str, value: impl Into<PathBuf>) -> Client {
        let value = value.into().into_os_string().into_string().unwrap();
        self.variables.push((name.to_owned(), value));
        self
    }

    /// The same, with `name` shown where `text` stands.
    pub fn hide(mut self, text: impl Into<String>, name: &str) -> Client {
        self.hidden.push((text.into(), name.to_owned()));
        self
    }

    /// Starts it with these words.
    #[track_caller]
    pub fn start(&self, words: &[&str]) -> Running {
        let mut command = hermetic(&self.program, &self.home);
        command.args(words).envs(self.variables.iter().cloned());
        Running::start(command, self.hidden.clone())
    }

    /// Starts a line of bash in which `"$@"` is the client with these words.
    #[track_caller]
    pub fn start_through_shell(&self, line: &str, words: &[&str]) -> Running {
        let mut command = hermetic(&self.program, &self.home);
        command.args(words).envs(self.variables.iter().cloned());
        Running::start(through_shell(&command, line), self.hidden.clone())
    }

    /// Runs it with these words to its end.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Ran {
        self.start(words).finish()
    }

    /// Runs it on a terminal, where the user types these lines: what the terminal shows.
    #[track_caller]
    pub fn run_on_terminal(&self, words: &[&str], typed: &str) -> Ran {
        self.start_on_terminal(words, typed).finish()
    }

    /// Starts it with these words on a terminal, where this is typed ahead.
    #[track_caller]
    pub fn start_on_terminal(&self, words: &[&str], typed: &str) -> Session {
        let mut command = hermetic(&self.program, &self.home);
        command.args(words).envs(self.variables.iter().cloned());
        Session::start(command, typed, self.hidden.clone())
    }
}
