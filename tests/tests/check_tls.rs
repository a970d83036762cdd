//! What `check` and a start say of certificates, keys and secrets that do not work as they should.

mod characters;

mod chain;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use action_tests::{
    Ran, Site,
    wait::{CEILING, wait_until},
};

const REQUEST: &str = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x";
const LEAF: &str = "-addext basicConstraints=CA:FALSE";
const NAMES: &str = "-addext subjectAltName=DNS:localhost,IP:127.0.0.1";

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    fs::create_dir(site.path("pki")).unwrap();
    site.settings("tls: {certificate: pki/c.pem, private_key: pki/k.pem}");
    site
}

/// Runs openssl beside the certificates.
#[track_caller]
fn openssl(site: &Site, words: &str) {
    let mut command = Command::new("openssl");
    command.args(words.split_whitespace());
    let ran = command.current_dir(site.path("pki")).output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{words}: {told}");
}

/// Makes c.pem and k.pem.
#[track_caller]
fn certificate(site: &Site, words: &str) {
    openssl(site, &format!("{REQUEST} -keyout k.pem -out c.pem {words}"));
}

/// Makes c.pem and k.pem, valid from one year to another, which openssl req cannot.
fn valid(site: &Site, from: i32, to: i32) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(to, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    site.write("pki/c.pem", params.self_signed(&key).unwrap().pem());
    site.write("pki/k.pem", key.serialize_pem());
    fs::set_permissions(site.path("pki/k.pem"), fs::Permissions::from_mode(0o600)).unwrap();
}

#[track_caller]
fn says(ran: &Ran, code: i32, part: &str) {
    assert_eq!(ran.code(), code, "{ran}");
    let told = ran.stdout() + &ran.stderr();
    assert!(told.contains(part), "{part}: {ran}");
}

#[test]
fn a_certificate_that_clients_would_refuse_is_told() {
    let site = site();
    for (words, code, part) in [
        (
            format!("{LEAF} {NAMES} -days 90"),
            0,
            "0 errors, 0 warnings",
        ),
        (
            format!("{LEAF} {NAMES} -days 20"),
            0,
            "pki/c.pem: warning: it expires on ",
        ),
        (
            format!("{LEAF} -days 90"),
            0,
            "pki/c.pem: warning: it has no name of a server (subjectAltName)",
        ),
        (
            format!("{LEAF} -addext subjectAltName=DNS:other.site -days 90"),
            0,
            "pki/c.pem: warning: it is for other.site, and for none of ",
        ),
        (
            format!("{LEAF} {NAMES} -addext extendedKeyUsage=clientAuth -days 90"),
            78,
            "pki/c.pem: its extended key usage has no serverAuth",
        ),
        (
            format!("{LEAF} {NAMES} -addext keyUsage=keyAgreement -days 90"),
            78,
            "pki/c.pem: its key usage has no digitalSignature",
        ),
        (
            format!("{NAMES} -days 90"),
            0,
            "pki/c.pem: warning: it is an authority's (CA:TRUE)",
        ),
    ] {
        certificate(&site, &words);
        let ran = site.server_verb(&["check"]);
        says(&ran, code, part);
    }
    for (from, to, part) in [
        (2020, 2021, "pki/c.pem: it expired on 2021-01-01T00:00:00Z"),
        (
            2099,
            2100,
            "pki/c.pem: it is not valid before 2099-01-01T00:00:00Z",
        ),
    ] {
        valid(&site, from, to);
        says(&site.server_verb(&["check"]), 78, part);
    }
}

/// Names come from files, YAML and certificates that somebody else may have made.
#[test]
fn no_name_drives_the_terminal() {
    let site = site();
    let names = ["\u{1b}[31mred", "\u{9b}31m", "a\rb", "\u{202e}hs", "a\u{7}"];
    // YAML takes none of these but as escapes, which are JSON's.
    let quoted = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        action_proto::escape_in_json(&text).into_owned()
    };
    site.settings("policy_path: policy.yaml\njwt_key_directory: keys");
    fs::create_dir(site.path("keys")).unwrap();
    for name in names {
        let params = rcgen::CertificateParams::new([name.replace('\u{9b}', "\u{1b}")]);
        let mut params = params.unwrap_or_default();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let key = rcgen::KeyPair::generate().unwrap();
        site.write("pki/c.pem", params.self_signed(&key).unwrap().pem());
        site.write("pki/k.pem", key.serialize_pem());
        fs::set_permissions(site.path("pki/k.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(site.path("libexec").join(name)).unwrap();
        for file in [
            format!("libexec/{name}/metadata.yaml"),
            format!("libexec/hello/{name}.sh"),
            format!("keys/{name}.pem"),
        ] {
            site.write(file, "x");
        }
        let value = quoted(name);
        site.nodes(&format!(
            "n1: {{ranks: [{value}]}}\n{value}: {{}}\n__groups__: {{{value}: n1, g: {value}}}\n"
        ));
        site.write(
            "policy.yaml",
            format!("rules: [{{name: {value}, allow: [run], subjects: [{value}], commands: [{value}], nodes: {value}}}]\n"),
        );
        for words in [
            &["check"][..],
            &["explain"],
            &["generate-token", "--subject", name],
            &["cert", name, "--name", name],
        ] {
            let ran = site.server_verb(words);
            let told = ran.stdout() + &ran.stderr();
            let is_unsafe = |c: char| action_proto::is_unsafe_to_show(c) && c != '\n' && c != '\t';
            assert!(
                !told.is_empty() && !told.contains(is_unsafe),
                "{words:?}: {told:?}"
            );
        }
        fs::remove_file(site.path(format!("keys/{name}.pem"))).unwrap();
        fs::remove_dir_all(site.path("libexec").join(name)).unwrap();
        fs::remove_file(site.path(format!("libexec/hello/{name}.sh"))).unwrap();
    }
}

#[test]
fn an_expired_certificate_is_warned_of_when_the_server_starts() {
    let site = site();
    valid(&site, 2020, 2021);
    let server = site.start();
    server.wait_for_log("pki/c.pem: it expired on 2021-01-01T00:00:00Z");
    certificate(&server, &format!("{LEAF} {NAMES} -days 3"));
    server.wait_for_log("pki/c.pem: it expires on ");
}

#[test]
fn keys_that_cannot_be_used_are_told() {
    let site = site();
    let fresh = || certificate(&site, &format!("{LEAF} {NAMES} -days 90"));
    let key = |text: String| {
        site.write("pki/k.pem", text);
        fs::set_permissions(site.path("pki/k.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    };
    fresh();
    let good = site.read("pki/k.pem");
    for (text, part) in [
        (
            good.replace('\n', ""),
            "pki/k.pem: BEGIN and END must be on lines of their own",
        ),
        (
            good.replace('\n', " "),
            "pki/k.pem: BEGIN and END must be on lines of their own",
        ),
        (
            good.replace('\n', "\\n"),
            "pki/k.pem: its line breaks are written as \\n",
        ),
        (
            good.lines().take(2).collect::<Vec<_>>().join("\n"),
            "a block has no line with END",
        ),
    ] {
        key(text);
        says(&site.server_verb(&["check"]), 78, part);
    }
    for (text, part) in [
        (good.clone(), "0 errors, 0 warnings"),
        (good.replace('\n', "\r\n"), "0 errors, 0 warnings"),
        (format!("\u{feff}{good}"), "0 errors, 0 warnings"),
        (
            format!("{good}{good}"),
            "pki/k.pem: warning: there are 2 keys in it, and only the first is used",
        ),
    ] {
        key(text);
        says(&site.server_verb(&["check"]), 0, part);
    }
    key(good.clone());
    openssl(&site, "pkcs8 -topk8 -in k.pem -out e.pem -passout pass:x");
    key(site.read("pki/e.pem"));
    says(
        &site.server_verb(&["check"]),
        78,
        "the key is encrypted with a passphrase",
    );
    openssl(
        &site,
        "genrsa -traditional -aes128 -passout pass:x -out r.pem 2048",
    );
    key(site.read("pki/r.pem"));
    says(
        &site.server_verb(&["check"]),
        78,
        "the key is encrypted with a passphrase",
    );
    fresh();
    for (text, part) in [
        (
            format!("{good}{}", site.read("pki/k.pem")),
            "there are 2 keys in the file, and only the first is used: key 2 is the certificate's",
        ),
        (
            format!("{good}{good}"),
            "only the first is used: none of them is the certificate's",
        ),
    ] {
        key(text);
        says(&site.server_verb(&["check"]), 78, part);
    }
    key(good);
    says(
        &site.server_verb(&["check"]),
        78,
        "the key belongs to none of the certificates",
    );
    openssl(
        &site,
        &format!(
            "req -x509 -newkey rsa:1024 -nodes -subj /CN=x -keyout k.pem -out c.pem {LEAF} {NAMES}"
        ),
    );
    says(
        &site.server_verb(&["check"]),
        78,
        "its RSA key has 1024 bits",
    );
}

#[test]
fn a_chain_stands_in_its_order() {
    let site = site();
    certificate(&site, &format!("{LEAF} {NAMES} -days 90"));
    let (first, key) = (site.read("pki/c.pem"), site.read("pki/k.pem"));
    certificate(&site, "-days 90 -subj /CN=other");
    let other = site.read("pki/c.pem");
    site.write("pki/k.pem", key);
    site.write("pki/c.pem", format!("{other}{first}"));
    says(
        &site.server_verb(&["check"]),
        78,
        "certificate 2 belongs to the key",
    );
    site.write("pki/c.pem", format!("{first}{other}"));
    says(
        &site.server_verb(&["check"]),
        0,
        "pki/c.pem: certificate 1: warning: certificate 2 is not its issuer",
    );
}

#[test]
fn the_key_may_be_roots_and_its_groups_to_read() {
    let site = site();
    certificate(&site, &format!("{LEAF} {NAMES} -days 90"));
    let key = site.path("pki/k.pem");
    for (mode, code) in [
        (0o600, 0),
        (0o400, 0),
        (0o640, 0),
        (0o440, 0),
        (0o660, 78),
        (0o644, 78),
    ] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let code = if rustix::process::geteuid().is_root() || mode & 0o077 == 0 {
            code
        } else {
            78
        };
        let ran = site.server_verb(&["check"]);
        assert_eq!(ran.code(), code, "{mode:o}: {ran}");
    }
    if std::os::unix::fs::chown(&key, Some(12345), None).is_ok() {
        fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
        says(
            &site.server_verb(&["check"]),
            78,
            "the key can be read or written by others",
        );
    }
}

#[test]
fn the_certificates_end_is_a_metric() {
    let site = Site::new();
    site.settings("metrics_listen: 127.0.0.1:0");
    let server = site.start();
    assert_eq!(
        server.scrape().of("action_certificate_expiry_seconds"),
        f64::INFINITY
    );
    let site = self::site();
    site.settings("metrics_listen: 127.0.0.1:0");
    certificate(&site, &format!("{LEAF} {NAMES} -days 30"));
    let server = site.start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let days = |count: u64| (now + Duration::from_secs(count * 86400)).as_secs_f64();
    let ends = || server.scrape().of("action_certificate_expiry_seconds");
    assert!((ends() - days(30)).abs() < 60.0, "{}", ends());
    certificate(&server, &format!("{LEAF} {NAMES} -days 60"));
    wait_until("the new end", CEILING, || (ends() > days(50)).then_some(()));
}
