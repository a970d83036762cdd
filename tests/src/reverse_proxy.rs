//! The real nginx and Apache with the shipped examples as their configuration, in front of a server.
//! What a test needs otherwise is put in the place of a line of the example, which must be there.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustix::process::Signal;

use crate::{
    client::Client,
    processes,
    program::PATH,
    server::Server,
    wait::{CEILING, wait_until},
};

/// Which web server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's nginx.
    Nginx,
    /// Debian's Apache.
    Apache,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Apache => "apache",
        }
    }
}

/// A web server on an address of its own: ended when it is dropped.
#[derive(Debug)]
pub struct Front {
    child: Child,
    address: SocketAddr,
    kind: Kind,
    directory: PathBuf,
}

impl Front {
    /// Starts nginx in front of a server.
    #[track_caller]
    pub fn nginx(server: &Server) -> Front {
        Front::start(Kind::Nginx, server, &[], "")
    }

    /// Starts a web server in front of a server, with some lines of the example changed, and with
    /// lines for what is around it.
    #[track_caller]
    pub fn start(kind: Kind, server: &Server, changes: &[(&str, &str)], around: &str) -> Front {
        let directory = server.path(kind.name());
        fs::create_dir(&directory).unwrap();
        let address = free();
        certify(&directory, address);
        let example = format!("../packaging/{}/action.conf", kind.name());
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(example);
        let mut text = fs::read_to_string(example).unwrap();
        let (listen, own_listen, files) = match kind {
            Kind::Nginx => (
                "listen 443",
                format!("listen {address}"),
                "/etc/nginx/action",
            ),
            Kind::Apache => ("*:443", address.to_string(), "/etc/apache2/action"),
        };
        let own = [
            (listen, own_listen),
            (files, directory.display().to_string()),
            ("127.0.0.1:6304", server.address().to_string()),
        ];
        let own = own.iter().map(|(from, to)| (*from, to.as_str()));
        for (from, to) in own.chain(changes.iter().copied()) {
            assert!(text.contains(from), "the example has no {from:?}");
            text = text.replace(from, to);
        }
        fs::write(directory.join("action.conf"), text).unwrap();
        let main = match kind {
            Kind::Nginx => around_nginx(&directory, around),
            Kind::Apache => around_apache(&directory, address, around),
        };
        fs::write(directory.join("main.conf"), main).unwrap();
        let child = spawn(kind, &directory, address);
        Front {
            child,
            address,
            kind,
            directory,
        }
    }

    /// The real client, which is to go through it.
    pub fn client(&self, server: &Server) -> Client {
        server
            .client()
            .variable("ACTION_CLIENT_BASE_URL", self.url())
            .hide(self.address.to_string(), "FRONT")
    }

    /// The certificate of the authority that signed for it.
    pub fn authority(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// How many calls of a method have ended.
    pub fn calls(&self, method: &str) -> usize {
        let log = fs::read_to_string(self.directory.join("access.log")).unwrap_or_default();
        log.matches(&format!("/action.v1.ActionService/{method} "))
            .count()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        format!("https://{}/action", self.address)
    }

    /// Changes its configuration, from the next start on.
    #[track_caller]
    pub fn change(&self, from: &str, to: &str) {
        let path = self.directory.join("action.conf");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "the configuration has no {from:?}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Ends it with all of its connections, and starts it anew.
    #[track_caller]
    pub fn restart(&mut self) {
        self.end();
        self.child = spawn(self.kind, &self.directory, self.address);
    }

    /// Ends it with all of its connections.
    pub fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            processes::signal(i32::try_from(self.child.id()).unwrap_or(0), Signal::TERM);
            _ = self.child.wait();
        }
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.end();
    }
}

/// What nginx needs around the example, with nothing outside of the directory.
fn around_nginx(directory: &Path, around: &str) -> String {
    let place = directory.display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = kinds.map(|kind| format!("{kind}_temp_path {place}/{kind};\n"));
    format!(
        "daemon off;\nworker_processes 1;\npid {place}/pid;\nerror_log {place}/error.log info;\n\
         events {{}}\nhttp {{\naccess_log {place}/access.log;\n{}{around}\n\
         include {place}/action.conf;\n}}\n",
        temporary.concat()
    )
}

/// The same for Apache, with the modules that Debian's has on its own and those of the example.
fn around_apache(directory: &Path, address: SocketAddr, around: &str) -> String {
    let place = directory.display();
    let modules = [
        "mpm_event",
        "authz_core",
        "socache_shmcb",
        "ssl",
        "http2",
        "proxy",
        "proxy_http2",
    ];
    let load =
        |module| format!("LoadModule {module}_module /usr/lib/apache2/modules/mod_{module}.so\n");
    format!(
        "ServerRoot {place}\nServerName gateway1\nPidFile {place}/pid\nMutex pthread\n\
         User nobody\nGroup nogroup\n\
         ErrorLog {place}/error.log\n{}CustomLog {place}/access.log \"%r %s\"\n\
         Listen {address}\n{around}\nInclude {place}/action.conf\n",
        modules.map(load).concat()
    )
}

/// A port on an address that no other web server has, of this program or another test program:
/// between the look for a port and the web server's start, nothing else may take it.
fn free() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(128);
    let [.., high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, NEXT.fetch_add(1, Ordering::Relaxed), high, low);
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.local_addr().unwrap()
}

/// Writes `chain.pem` and `key.pem`, signed by an authority below `ca.pem`.
fn certify(directory: &Path, address: SocketAddr) {
    let named = |name, hosts: Vec<String>| {
        let mut params = CertificateParams::new(hosts).unwrap();
        // Chains are built by names, so each must have its own.
        params.distinguished_name.push(DnType::CommonName, name);
        (params, KeyPair::generate().unwrap())
    };
    let authority = |name| {
        let (mut params, key) = named(name, Vec::new());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        (params, key)
    };
    let (params, key) = authority("root");
    let root = CertifiedIssuer::self_signed(params, key).unwrap();
    let (params, key) = authority("between");
    let between = CertifiedIssuer::signed_by(params, key, &root).unwrap();
    let (params, key) = named("gateway", vec![address.ip().to_string()]);
    let own = params.signed_by(&key, &between).unwrap();
    let write = |name, text| fs::write(directory.join(name), text).unwrap();
    write("ca.pem", root.pem());
    write("chain.pem", own.pem() + &between.pem());
    write("key.pem", key.serialize_pem());
}

#[track_caller]
fn spawn(kind: Kind, directory: &Path, address: SocketAddr) -> Child {
    let main = directory.join("main.conf");
    let mut command = match kind {
        Kind::Nginx => {
            let mut command = Command::new("/usr/sbin/nginx");
            command.arg("-p").arg(directory).arg("-c").arg(main);
            command.arg("-e").arg(directory.join("error.log"));
            command
        }
        Kind::Apache => {
            let mut command = Command::new("/usr/sbin/apache2");
            command.arg("-DFOREGROUND").arg("-f").arg(main);
            command
        }
    };
    let log = directory.join("stderr");
    command.env_clear().env("PATH", PATH).stdin(Stdio::null());
    command.stderr(File::create(&log).unwrap());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{kind:?}: {error}: tests/run installs what the tests need")
    });
    wait_until("the web server to listen", CEILING, || {
        let ended = child.try_wait().unwrap();
        let said = || fs::read_to_string(&log).unwrap();
        assert!(ended.is_none(), "{kind:?} ended with {ended:?}: {}", said());
        TcpStream::connect(address).ok()
    });
    child
}
