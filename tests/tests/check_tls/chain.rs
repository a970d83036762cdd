//! What `check` says of certificates that action-client refuses.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{LEAF, NAMES, REQUEST, openssl, says, site};

/// A key, and a certificate for it that another's key signs.
fn signed(
    names: &[&str],
    key: &rcgen::KeyPair,
    issuer: &rcgen::Issuer<'_, &rcgen::KeyPair>,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> String {
    let mut params = rcgen::CertificateParams::default();
    for name in names {
        let name = (*name).try_into().unwrap();
        params.subject_alt_names.push(rcgen::SanType::DnsName(name));
    }
    change(&mut params);
    params.signed_by(key, issuer).unwrap().pem()
}

/// What action-client refuses, `check` tells: both verify with one library.
#[test]
fn what_the_client_refuses_is_told() {
    let site = site();
    let (leaf, authority, other) = (
        rcgen::KeyPair::generate().unwrap(),
        rcgen::KeyPair::generate().unwrap(),
        rcgen::KeyPair::generate().unwrap(),
    );
    let params = |is_authority: bool, change: fn(&mut rcgen::CertificateParams)| {
        let mut params = rcgen::CertificateParams::default();
        let constraint = rcgen::BasicConstraints::Unconstrained;
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::CommonName, "authority");
        params.is_ca = match is_authority {
            true => rcgen::IsCa::Ca(constraint),
            false => rcgen::IsCa::ExplicitNoCa,
        };
        change(&mut params);
        params
    };
    let good = params(true, |_| {});
    let issuer = rcgen::Issuer::from_params(&good, &authority);
    let made = |key: &rcgen::KeyPair, params: &rcgen::CertificateParams| {
        params.self_signed(key).unwrap().pem()
    };
    let root = made(&authority, &good);
    let plain = signed(&["localhost"], &leaf, &issuer, |_| {});
    site.write("pki/k.pem", leaf.serialize_pem());
    fs::set_permissions(site.path("pki/k.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let middle = |is_authority: bool, change: fn(&mut rcgen::CertificateParams)| {
        let top = rcgen::CertificateParams::default();
        let top = rcgen::Issuer::from_params(&top, &other);
        let params = params(is_authority, change);
        params.signed_by(&authority, &top).unwrap().pem()
    };
    let usage = |usage: rcgen::ExtendedKeyUsagePurpose| {
        signed(&["localhost"], &leaf, &issuer, |it| {
            it.extended_key_usages = vec![usage];
        })
    };
    let named = |name: &str| signed(&["localhost", name], &leaf, &issuer, |_| {});
    let useless = "pki/c.pem: warning: clients accept it for none of these names: ";
    for (text, code, part) in [
        (plain.clone(), 0, "0 warnings".to_owned()),
        (format!("{plain}{root}"), 0, "0 warnings".to_owned()),
        (named("*.example.org"), 0, "0 warnings".to_owned()),
        (named("my_host"), 0, "0 warnings".to_owned()),
        (named("LOCALHOST"), 0, "0 warnings".to_owned()),
        (
            usage(rcgen::ExtendedKeyUsagePurpose::Any),
            0,
            "pki/c.pem: warning: its extended key usage has no serverAuth, and".to_owned(),
        ),
        (named("127.0.0.1"), 0, format!("{useless}127.0.0.1;")),
        (named("*"), 0, format!("{useless}*;")),
        (named("localhost."), 0, format!("{useless}localhost.;")),
        (named("*.*.org"), 0, format!("{useless}*.*.org;")),
        (named("vm.*.org"), 0, format!("{useless}vm.*.org;")),
        (named("vm*.a.org"), 0, format!("{useless}vm*.a.org;")),
        (
            format!("{plain}{}", made(&other, &good)),
            0,
            "pki/c.pem: certificate 2: warning: it has the name of an issuer and not its key"
                .to_owned(),
        ),
        (
            format!("{plain}{}", middle(false, |_| {})),
            0,
            "pki/c.pem: certificate 2: warning: it is no authority (CA:TRUE is missing)".to_owned(),
        ),
        (
            format!(
                "{plain}{}",
                middle(true, |it| {
                    it.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
                })
            ),
            0,
            "pki/c.pem: certificate 2: warning: its extended key usage has no serverAuth"
                .to_owned(),
        ),
        (
            signed(&["localhost"], &leaf, &issuer, |it| {
                let mut unknown =
                    rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4, 5], vec![5, 0]);
                unknown.set_criticality(true);
                it.custom_extensions = vec![unknown];
            }),
            78,
            "pki/c.pem: it has a critical extension that clients do not know".to_owned(),
        ),
    ] {
        site.write("pki/c.pem", text);
        says(&site.server_verb(&["check"]), code, &part);
    }
    openssl(
        &site,
        "req -x509 -newkey rsa:1024 -nodes -subj /CN=small -keyout a.key -out a.pem",
    );
    openssl(
        &site,
        &format!("{REQUEST} -CA a.pem -CAkey a.key -keyout k.pem -out c.pem {LEAF} {NAMES}"),
    );
    let chain = site.read("pki/c.pem") + &site.read("pki/a.pem");
    site.write("pki/c.pem", chain);
    says(
        &site.server_verb(&["check"]),
        0,
        "pki/c.pem: certificate 2: warning: its RSA key has 1024 bits",
    );
}
