//! TLS end to end: the certificate that `cert` makes, clients that trust it or do not, and another
//! certificate while a run goes on.

mod refused;

use std::fs;

use action_tests::{Client, Ran, Server, Site};

fn certified(site: &Site) {
    let mut command = site.server_verb_command(&["cert"]);
    command.arg(site.path("pki")).args(["--name", "localhost"]);
    assert!(command.output().unwrap().status.success());
}

fn serving() -> Server {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.command(
        "wait",
        "echo ready; read -r < \"$SCRIPT_ROOT/../gate\"; echo done",
    );
    certified(&site);
    site.settings("tls: {certificate: pki/certificate.pem, private_key: pki/private_key.pem}");
    site.start()
}

fn client(server: &Server, trust: &str) -> Client {
    let (port, token) = (server.address().port(), server.token());
    let text = format!("base_url: https://localhost:{port}\njwt_token: {token}\n{trust}\n");
    server.write("client.yaml", text);
    Client::new(server)
}

#[track_caller]
fn says(ran: &Ran, code: i32, part: &str) {
    assert_eq!(ran.code(), code, "{ran}");
    assert!(ran.stderr().contains(part), "{ran}");
}

/// Either file alone may be another certificate's, so none is made beside it; also where it is a link to nothing.
#[test]
fn a_certificate_is_not_made_for_another_key() {
    for (there, missing) in [
        ("private_key.pem", "certificate.pem"),
        ("certificate.pem", "private_key.pem"),
    ] {
        let site = Site::new();
        fs::create_dir(site.path("pki")).unwrap();
        std::os::unix::fs::symlink("nowhere", site.path("pki").join(there)).unwrap();
        let mut command = site.server_verb_command(&["cert"]);
        let output = command.arg(site.path("pki")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{told}");
        assert!(told.contains("they are made together"), "{told}");
        assert!(!site.path("pki").join(missing).exists());
    }
}

#[test]
fn a_certificate_that_is_there_is_kept_and_not_told_to_be_another() {
    let site = Site::new();
    let cert = |words: &[&str]| {
        let mut command = site.server_verb_command(&["cert"]);
        let output = command.arg(site.path("pki")).args(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.success(),
            text(output.stdout) + &text(output.stderr),
        )
    };
    let (is_made, told) = cert(&["--name", "gw1"]);
    assert!(is_made && told.contains("It is for gw1."), "{told}");
    let made = site.read("pki/certificate.pem");
    let (is_kept, told) = cert(&[]);
    assert!(is_kept && told.contains("It stays as it is."), "{told}");
    let (is_done, told) = cert(&["--name", "gw9"]);
    assert!(
        !is_done && told.contains("to make another, move it and "),
        "{told}"
    );
    assert_eq!(site.read("pki/certificate.pem"), made);
}

#[test]
fn a_ca_path_without_a_certificate_is_an_error() {
    let server = serving();
    server.write("empty.pem", "no certificate");
    let ran = client(&server, "ca_path: empty.pem").run(&["hello", "n1"]);
    says(&ran, 255, "cannot use ca_path");
}

#[test]
fn a_certificate_for_another_name_is_told_as_such() {
    let server = serving();
    let (port, token) = (server.address().port(), server.token());
    let text = format!(
        "base_url: https://127.0.0.1:{port}\njwt_token: {token}\nca_path: pki/certificate.pem\n"
    );
    server.write("client.yaml", text);
    let ran = Client::new(&server).run(&["hello", "n1"]);
    says(
        &ran,
        255,
        "must be one of the names that the certificate is for",
    );
    assert!(!ran.stderr().contains("verify_ssl"), "{ran}");
}

#[test]
fn clients_trust_what_they_are_told_to() {
    let server = serving();
    let ran = client(&server, "ca_path: pki/certificate.pem").run(&["hello", "n1"]);
    assert_eq!((ran.code(), ran.stdout().as_str()), (0, "hello\n"), "{ran}");
    assert_eq!(ran.stderr(), "");
    says(
        &client(&server, "").run(&["hello", "n1"]),
        255,
        "certificate",
    );
    let ran = client(&server, "verify_ssl: false").run(&["hello", "n1"]);
    assert_eq!(ran.stdout(), "hello\n");
    says(&ran, 0, "verify_ssl is false");
    assert_eq!(ran.stderr().lines().count(), 1, "{ran}");
}

#[test]
fn a_machine_without_authorities_trusts_what_it_is_told_to() {
    let server = serving();
    let bare = |trust| {
        client(&server, trust)
            .variable("SSL_CERT_FILE", "/dev/null")
            .variable("SSL_CERT_DIR", server.path("none"))
    };
    let ran = bare("ca_path: pki/certificate.pem").run(&["hello", "n1"]);
    assert_eq!(ran.stdout(), "hello\n", "{ran}");
    says(&bare("").run(&["hello", "n1"]), 255, "hint: set `ca_path`");
}

#[test]
fn another_certificate_is_taken_and_a_run_goes_on() {
    let server = serving();
    let gate = server.gate("gate");
    let trusting = client(&server, "ca_path: pki/certificate.pem");
    let mut run = trusting.start(&["wait", "n1"]);
    run.wait_for("ready\n");
    let old = server.read("pki/certificate.pem");
    for name in ["certificate.pem", "private_key.pem"] {
        fs::remove_file(server.path("pki").join(name)).unwrap();
    }
    certified(&server);
    server.wait_for_log("took the new certificate");
    server.write("old.pem", old);
    says(
        &client(&server, "ca_path: old.pem").run(&["hello", "n1"]),
        255,
        "certificate",
    );
    let ran = client(&server, "ca_path: pki/certificate.pem").run(&["hello", "n1"]);
    assert_eq!(ran.stdout(), "hello\n", "{ran}");
    // One that cannot be used leaves the last in use.
    server.write("pki/certificate.pem", "nothing");
    server.wait_for_log("the last one stays in use");
    gate.open();
    let run = run.finish();
    assert_eq!(
        (run.code(), run.stdout().as_str()),
        (0, "ready\ndone\n"),
        "{run}"
    );
}

/// Runs openssl in the site's directory for certificates.
fn openssl(site: &Site, words: &str) {
    let mut command = std::process::Command::new("openssl");
    command.args(words.split(' ')).current_dir(site.path("pki"));
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{words}: {ran:?}");
}

#[test]
fn keys_of_each_form_are_taken() {
    let site = Site::new();
    site.settings("tls: {certificate: pki/c.pem, private_key: pki/k.pem}");
    fs::create_dir(site.path("pki")).unwrap();
    for (make, beginning) in [
        (
            "ecparam -genkey -noout -name prime256v1 -out k.pem",
            "-----BEGIN EC PRIVATE KEY",
        ),
        (
            "genrsa -traditional -out k.pem 2048",
            "-----BEGIN RSA PRIVATE KEY",
        ),
        (
            "genpkey -algorithm ed25519 -out k.pem",
            "-----BEGIN PRIVATE KEY",
        ),
    ] {
        openssl(&site, make);
        openssl(
            &site,
            "req -x509 -new -key k.pem -out c.pem -days 2 -subj /CN=localhost",
        );
        assert!(site.read("pki/k.pem").starts_with(beginning), "{make}");
        let checked = site.server_verb(&["check"]);
        assert_eq!(checked.code(), 0, "{make}: {checked}");
    }
}

#[test]
fn a_caller_without_the_certificate_that_is_asked_for_is_not_served() {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"");
    certified(&site);
    site.settings(
        "tls: {certificate: pki/certificate.pem, private_key: pki/private_key.pem, client_ca: pki/certificate.pem}",
    );
    let server = site.start();
    let ran = client(&server, "ca_path: pki/certificate.pem").run(&["hello", "n1"]);
    assert_eq!(ran.code(), 255, "{ran}");
    assert!(!server.has("ran"));
}
