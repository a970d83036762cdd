//! `action-server init`: a directory with everything that a server and its first client need.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use action_proto::input::shown_value;
use include_dir::{Dir, DirEntry, include_dir};
use rand::Rng as _;
use thiserror::Error;

use crate::{
    auth::{
        NewToken, TokenRules, is_subject, mint,
        register::{RegisterError, register},
    },
    config::{ConfigError, Settings},
    shown,
};

/// Where a server listens unless it is report otherwise.
pub(crate) const DEFAULT_LISTEN: &str = "127.0.0.1:6304";

/// The shipped commands, as they are in the source tree.
static COMMANDS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../libexec");

/// Why nothing, or not all, was written.
#[derive(Debug, Error)]
pub(crate) enum InitError {
    /// A file or directory cannot be written.
    #[error("cannot write {}: {source}", shown::file(path))]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It may be a secret that was put in the directory's place.
    #[error(
        "there is no such directory, and it would have {0}; if that is its name, make it first"
    )]
    NoPath(String),
    /// The address is none.
    #[error("--listen: {} is not an address with a port, such as 127.0.0.1:6304", shown_value(.0))]
    Listen(String),
    /// Others could reach the address, and there is no certificate yet.
    #[error(
        "--listen: {0} is not a loopback address; begin with one, then add tls to server.yaml (`action-server cert` makes a certificate)"
    )]
    NotLoopback(SocketAddr),
    /// The client is to know where the server is.
    #[error(
        "--listen: {0}: name a port, which client.yaml is to have; `serve --listen` takes 0 for a free one"
    )]
    NoPort(SocketAddr),
    /// What is there already cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The secret that is there already cannot be used.
    #[error(transparent)]
    Keys(#[from] crate::auth::OpenError),
    /// The token could not be made.
    #[error("cannot make a token: {0}")]
    Token(#[from] crate::auth::TokenError),
    /// The token could not be entered into the register.
    #[error(transparent)]
    Register(#[from] RegisterError),
}

impl InitError {
    /// True when the command line is wrong, and not what is on the disk.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            InitError::NoPath(_)
                | InitError::Listen(_)
                | InitError::NotLoopback(_)
                | InitError::NoPort(_)
        )
    }
}

/// Writes what is not there yet, and returns the message for the admin.
pub(crate) fn init(directory: &Path, listen: &str) -> Result<String, InitError> {
    let address: SocketAddr = listen
        .parse()
        .map_err(|_| InitError::Listen(listen.to_owned()))?;
    if !address.ip().is_loopback() {
        return Err(InitError::NotLoopback(address));
    }
    if address.port() == 0 {
        return Err(InitError::NoPort(address));
    }
    let directory = std::path::absolute(directory).map_err(write_failed(directory))?;
    let mut written = NewFiles::new(&directory)?;

    let mut secret = [0_u8; 32];
    rand::rng().fill_bytes(&mut secret);
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    written.write_file("jwt_secret", 0o600, format!("{secret}\n").as_bytes())?;
    written.write_file(
        "server.yaml",
        0o644,
        server_yaml(listen, &directory).as_bytes(),
    )?;
    written.write_file("nodes.yaml", 0o644, NODES.as_bytes())?;
    written.write_commands(&COMMANDS)?;

    let settings = directory.join("server.yaml");
    let settings = Settings::load(&settings, [])?;
    let keys = settings.auth.keys()?;
    let new = NewToken {
        subject: own_name(),
        lifetime: Duration::from_secs(30 * 24 * 3600),
        ..NewToken::default()
    };
    let (token, issued) = mint(&keys, None, &TokenRules::default(), new)?;
    if !written.has_file("client.yaml") {
        register(&settings.state_directory, settings.trust, &issued)?;
    }
    written.write_file(
        "client.yaml",
        0o600,
        client_yaml(address, &token).as_bytes(),
    )?;

    let (shown, report) = (shown::file(&directory), written.report);
    Ok(format!(
        "{report}\nNext:\n  action-server serve --config {shown}/server.yaml\n\
         and in another terminal:\n  export ACTION_CLIENT_CONFIG={shown}/client.yaml\n  \
         action-client help\n  action-client run power-status -g 'cnode[01-04]'\n"
    ))
}

/// The name of the user who runs this, as far as it can be a token's subject.
pub(crate) fn own_name() -> String {
    let name = std::env::var("USER").unwrap_or_default();
    if is_subject(&name) {
        name
    } else {
        "admin".to_owned()
    }
}

fn server_yaml(listen: &str, directory: &Path) -> String {
    format!(
        "\
# The settings of action-server. Relative paths start at this file's directory.
# All settings: docs/settings.md. After an edit: action-server check --config THIS_FILE

listen: \"{listen}\"
jwt_secret_path: jwt_secret
nodes_config_path: nodes.yaml
command_directory_path: libexec
state_directory: state

# Variables that every script gets.
script_environment:
  # Where the demo platform keeps the state of its simulated nodes.
  DEMO_STATE_DIRECTORY: \"{}\"
",
        directory.join("demo-state").to_string_lossy()
    )
}

const NODES: &str = "\
# The nodes: a name, `ranks` (which script of a command runs), and any metadata, which
# scripts get as variables of the same name. Edits are picked up while the server runs.

# Anchors keep what several nodes share in one place; __meta__ itself is no node.
__meta__:
  demo: &demo
    ranks: [demo]
    demo_delay: 1

__groups__:
  compute: cnode[01-04]

login1:
  <<: *demo
cnode01:
  <<: *demo
cnode02:
  <<: *demo
  demo_type: compute-small
cnode03:
  <<: *demo
  demo_power: 'OFF'
cnode04:
  <<: *demo
  demo_delay: 3

# A node without ranks gets the default script of each command.
switch1: {}
";

fn client_yaml(address: SocketAddr, token: &str) -> String {
    format!(
        "\
# The configuration of action-client: keep it to yourself, the token opens the server.
base_url: http://{address}
jwt_token: {token}
"
    )
}

fn write_failed(path: &Path) -> impl FnOnce(io::Error) -> InitError {
    let path = path.to_owned();
    move |source| InitError::Write { path, source }
}

fn make_directory(path: &Path, mode: u32) -> Result<(), InitError> {
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(write_failed(path))
}

/// Writes files into one directory, overwriting nothing, and notes what it did.
pub(crate) struct NewFiles<'a> {
    directory: &'a Path,
    report: String,
}

impl<'a> NewFiles<'a> {
    /// A writer into a directory, which is made if it is not there.
    pub(crate) fn new(directory: &'a Path) -> Result<NewFiles<'a>, InitError> {
        if !shown::is_path(directory) {
            return Err(InitError::NoPath(shown::path(directory)));
        }
        make_directory(directory, 0o755)?;
        Ok(NewFiles {
            directory,
            report: String::new(),
        })
    }

    /// What was done, one line a file.
    pub(crate) fn report(&self) -> &str {
        &self.report
    }

    /// Writes a file that is not there, and keeps one that is.
    pub(crate) fn write_file(
        &mut self,
        name: &str,
        mode: u32,
        bytes: &[u8],
    ) -> Result<(), InitError> {
        let path = self.directory.join(name);
        let what = match create_file(&path, mode, bytes) {
            Ok(()) => "wrote",
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => "kept ",
            Err(error) => return Err(write_failed(&path)(error)),
        };
        self.report += &format!("{what} {}\n", shown::file(&path));
        Ok(())
    }

    /// Whether there is something of this name, which is kept.
    fn has_file(&self, name: &str) -> bool {
        self.directory.join(name).symlink_metadata().is_ok()
    }

    fn write_commands(&mut self, commands: &Dir<'_>) -> Result<(), InitError> {
        let root = self.directory.join("libexec");
        let there = root.exists();
        if !there {
            make_directory(&root, 0o755)?;
            copy_tree(commands, &root)?;
        }
        let what = if there { "kept " } else { "wrote" };
        self.report += &format!("{what} {}\n", shown::file(&root));
        Ok(())
    }
}

fn copy_tree(from: &Dir<'_>, root: &Path) -> Result<(), InitError> {
    for entry in from.entries() {
        let path = root.join(entry.path());
        match entry {
            DirEntry::Dir(directory) => {
                make_directory(&path, 0o755)?;
                copy_tree(directory, root)?;
            }
            DirEntry::File(file) => {
                // The built-in copy has no modes: what names an interpreter is a script.
                let mode = if file.contents().starts_with(b"#!") {
                    0o755
                } else {
                    0o644
                };
                create_file(&path, mode, file.contents()).map_err(write_failed(&path))?;
            }
        }
    }
    Ok(())
}

fn create_file(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}
