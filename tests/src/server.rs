//! The real server, as a process of its own that listens on a free port.

use std::{
    fs::{self, File},
    net::SocketAddr,
    ops::Deref,
    path::Path,
    process::{Child, Command, ExitStatus},
};

use jsonwebtoken::Algorithm;
use rustix::process::Signal;

use crate::{
    api::Api,
    client::Client,
    processes,
    program::hermetic,
    site::Site,
    token,
    wait::{CEILING, wait_until},
};

/// A server that runs on a [`Site`]. When it is dropped the server is stopped, and nothing that
/// it started may be left.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    // Before the site, so that it has ended when the site looks for what is left.
    process: Process,
    site: Site,
}

impl Deref for Server {
    type Target = Site;
    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Server {
    /// Starts the server; `change` may change how.
    ///
    /// # Panics
    /// It does not say within the ceiling that it listens.
    #[track_caller]
    pub fn start(site: Site, change: impl FnOnce(&mut Command)) -> Server {
        Server::start_seen(site, change, listening_by_log)
    }

    /// The same for a server that logs elsewhere: `seen` finds where it listens.
    #[track_caller]
    pub fn start_seen(
        site: Site,
        change: impl FnOnce(&mut Command),
        seen: impl FnMut(&Site) -> Option<SocketAddr>,
    ) -> Server {
        let program = site.program("action-server");
        Server::start_program(site, &program, change, seen)
    }

    /// Starts another program than the one under test, such as an older server.
    #[track_caller]
    pub fn start_other(site: Site, program: &Path) -> Server {
        Server::start_program(site, program, |_| {}, listening_by_log)
    }

    /// The same; `change` may change how.
    #[track_caller]
    pub fn start_changed(site: Site, program: &Path, change: impl FnOnce(&mut Command)) -> Server {
        Server::start_program(site, program, change, listening_by_log)
    }

    #[track_caller]
    fn start_program(
        site: Site,
        program: &Path,
        change: impl FnOnce(&mut Command),
        mut seen: impl FnMut(&Site) -> Option<SocketAddr>,
    ) -> Server {
        let log = File::create(site.path("log")).unwrap();
        let mut command = hermetic(program, &site.path("home"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]);
        command.arg(site.path("server.yaml"));
        change(&mut command);
        command.stderr(log);
        let mut process = Process(command.spawn().unwrap());
        let address = wait_until("the server to listen", CEILING, || {
            let ended = process.0.try_wait().unwrap();
            let log = site.read("log");
            assert!(ended.is_none(), "the server ended with {ended:?}:\n{log}");
            seen(&site)
        });
        Server {
            site,
            address,
            process,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        i32::try_from(self.process.0.id()).unwrap()
    }

    /// A caller with the token that `init` made.
    pub fn api(&self) -> Api {
        self.api_with(Some(&self.site.token()))
    }

    /// A caller with this token, or with none.
    pub fn api_with(&self, token: Option<&str>) -> Api {
        Api::connect(self.address, token)
    }

    /// A caller whose token has this subject.
    pub fn api_of(&self, subject: &str) -> Api {
        let claims = token::with(token::claims(), "sub", subject);
        let token = token::signed(&claims, &self.secret(), Algorithm::HS256);
        self.api_with(Some(&token))
    }

    /// The real client, configured for this server.
    pub fn client(&self) -> Client {
        let text = format!(
            "base_url: http://{}\njwt_token: {}\n",
            self.address,
            self.site.token()
        );
        self.site.write("client.yaml", text);
        Client::new(&self.site).hide(self.address.to_string(), "ADDRESS")
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.site.read("log")
    }

    /// Waits until it has logged this text.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("{text:?} in the log"), CEILING, || {
            self.log().contains(text).then_some(())
        });
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        processes::signal(self.id(), Signal::TERM);
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        wait_until("the server's end", CEILING, || {
            self.process.0.try_wait().unwrap()
        })
    }

    /// Stops it, and gives the site back for the next one.
    #[track_caller]
    pub fn stop(self) -> Site {
        let Server {
            site, mut process, ..
        } = self;
        process.end();
        site.assert_nothing_is_left();
        site
    }

    /// Kills it at once, as a crash would, and gives the site back.
    #[track_caller]
    pub fn kill(self) -> Site {
        let Server {
            site, mut process, ..
        } = self;
        process.0.kill().unwrap();
        process.0.wait().unwrap();
        site
    }
}

impl Site {
    /// The scripts that run on the site, each with its command line.
    pub fn scripts(&self) -> Vec<(i32, String)> {
        // The empty name leaves a slash at the end: no other site's name begins so.
        processes::with_variable(&format!("SCRIPT_ROOT={}", self.path("").display()))
    }

    #[track_caller]
    fn assert_nothing_is_left(&self) {
        let left = self.scripts();
        for (pid, _) in &left {
            processes::signal(*pid, Signal::KILL);
        }
        // A test that fails already has more to say.
        if !std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(left.is_empty(), "the server left {left:?}\n{log}");
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // The server's process has ended before: it is dropped, or was, without its site.
        if self.has("log") {
            self.assert_nothing_is_left();
        }
    }
}

/// The server's process: ended, one way or the other, when it is dropped.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn end(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            processes::signal(i32::try_from(self.0.id()).unwrap_or(0), Signal::TERM);
            let ended = wait_until("the server to stop", CEILING, || self.0.try_wait().unwrap());
            assert!(
                ended.success() || std::thread::panicking(),
                "the server stopped with {ended}"
            );
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            _ = self.0.kill();
            _ = self.0.wait();
        } else {
            self.end();
        }
    }
}

/// Where a server listens that logs to its standard error.
fn listening_by_log(site: &Site) -> Option<SocketAddr> {
    let log = site.read("log");
    let mut lines = log.lines();
    let line = lines.find_map(|line| line.split_once("listening on "));
    let (_, rest) = line.filter(|_| log.ends_with('\n'))?;
    // A log of JSON goes on behind it.
    rest.split('"').next()?.parse().ok()
}
