//! The real nginx with the shipped example as its configuration, in front of a server. What a test
//! needs otherwise is put in the place of a line of the example, which must be there.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command},
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

/// An nginx on an address of its own: ended when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    /// Starts nginx in front of a server, with some lines of the example changed, and with lines of
    /// `http` beside it.
    #[track_caller]
    pub fn start(server: &Server, changes: &[(&str, &str)], http: &str) -> Nginx {
        let directory = server.path("nginx");
        fs::create_dir(&directory).unwrap();
        let address = free();
        certify(&directory, address);
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/nginx/action.conf");
        let mut text = fs::read_to_string(example).unwrap();
        let own = [
            ("listen 443 ssl", format!("listen {address} ssl")),
            ("/etc/nginx/action", directory.display().to_string()),
            ("127.0.0.1:6304", server.address().to_string()),
        ];
        let own = own.iter().map(|(from, to)| (*from, to.as_str()));
        for (from, to) in own.chain(changes.iter().copied()) {
            assert!(text.contains(from), "the example has no {from:?}");
            text = text.replace(from, to);
        }
        let conf = directory.join("nginx.conf");
        fs::write(directory.join("action.conf"), text).unwrap();
        fs::write(&conf, main(&directory, http)).unwrap();
        let child = spawn(&directory, address);
        Nginx { child, address }
    }

    /// The real client, which is to go through it.
    pub fn client(&self, server: &Server) -> Client {
        server
            .client()
            .variable("ACTION_CLIENT_BASE_URL", self.url())
            .hide(self.address.to_string(), "NGINX")
    }

    /// The address for clients.
    pub fn url(&self) -> String {
        format!("https://{}/action", self.address)
    }

    /// Ends it with all of its connections, and starts it anew.
    #[track_caller]
    pub fn restart(&mut self, server: &Server) {
        self.end();
        self.child = spawn(&server.path("nginx"), self.address);
    }

    /// Ends it with all of its connections.
    pub fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            processes::signal(i32::try_from(self.child.id()).unwrap_or(0), Signal::TERM);
            _ = self.child.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.end();
    }
}

/// The file that the example is included in, with nothing outside of the directory.
fn main(directory: &Path, http: &str) -> String {
    let place = directory.display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = kinds.map(|kind| format!("{kind}_temp_path {place}/{kind};\n"));
    format!(
        "daemon off;\nworker_processes 1;\npid {place}/pid;\nerror_log {place}/error.log info;\n\
         events {{}}\nhttp {{\naccess_log {place}/access.log;\n{}{http}\n\
         include {place}/action.conf;\n}}\n",
        temporary.concat()
    )
}

/// A port on an address that no other nginx of this program has and nobody else uses.
fn free() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let address = Ipv4Addr::new(127, 0, 31, NEXT.fetch_add(1, Ordering::Relaxed));
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
fn spawn(directory: &Path, address: SocketAddr) -> Child {
    let mut command = Command::new("/usr/sbin/nginx");
    command.env_clear().env("PATH", PATH);
    command.arg("-p").arg(directory);
    command.arg("-c").arg(directory.join("nginx.conf"));
    command.arg("-e").arg(directory.join("error.log"));
    command.stderr(File::create(directory.join("stderr")).unwrap());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("nginx: {error}: tests/run installs what the tests need"));
    wait_until("nginx to listen", CEILING, || {
        let ended = child.try_wait().unwrap();
        let said = || fs::read_to_string(directory.join("stderr")).unwrap();
        assert!(ended.is_none(), "nginx ended with {ended:?}: {}", said());
        TcpStream::connect(address).ok()
    });
    child
}
