//! Tests of what certificates say.

use std::{net::SocketAddr, path::Path};

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::*;
use crate::net::chain_check::{ChainFault, chain_faults};

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-11-29T12:00:00Z").unwrap()
}

fn made(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn faults(der: &[u8], own: &[&str]) -> Vec<(bool, String)> {
    let own: Vec<String> = own.iter().map(|name| (*name).to_owned()).collect();
    let certificate = Certificate::read(der).unwrap();
    let mut faults = certificate.server_faults(&own);
    faults.extend(certificate.time_fault(now()));
    faults
}

#[test]
fn a_good_one_has_no_fault() {
    for own in [
        "gateway1.site",
        "GATEWAY1",
        "10.1.2.3",
        "::1",
        "a.pool.site",
    ] {
        let der = made(&["gateway1.site", "10.1.2.3", "::1", "*.pool.site"], |_| {});
        assert_eq!(faults(&der, &["other", own]), [], "{own}");
    }
}

#[test]
fn a_wildcard_is_for_a_host_that_knows_its_first_label_only() {
    let der = made(&["*.cluster.local"], |_| {});
    for own in ["node1", "NODE1", "node1.cluster.local"] {
        assert_eq!(faults(&der, &[own, "localhost", "127.0.0.1"]), [], "{own}");
    }
    for own in [
        "localhost",
        "::1",
        "127.0.0.1",
        "a.node1.cluster.local",
        "cluster.local",
    ] {
        let found = faults(&der, &[own]);
        assert!(
            found.len() == 1
                && found[0]
                    .1
                    .starts_with("it is for *.cluster.local, and for none of"),
            "{own}: {found:?}"
        );
    }
}

#[test]
fn only_the_first_certificate_that_is_out_of_date_is_an_error() {
    let dated = |from: i32, to: i32| {
        CertificateDer::from(made(&["localhost"], |it| {
            it.not_before = date_time_ymd(from, 1, 1);
            it.not_after = date_time_ymd(to, 1, 1);
        }))
    };
    let (good, over, early) = (dated(2020, 2100), dated(2020, 2021), dated(2099, 2100));
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    for (chain, listen, is_error, part) in [
        (
            [&good, &over],
            Some(listen),
            false,
            "c.pem: certificate 2: it expired on 2021-",
        ),
        (
            [&good, &early],
            Some(listen),
            false,
            "c.pem: certificate 2: it is not valid before 2099-",
        ),
        (
            [&over, &good],
            Some(listen),
            true,
            "c.pem: certificate 1: it expired on 2021-",
        ),
        (
            [&early, &good],
            Some(listen),
            true,
            "c.pem: certificate 1: it is not valid before 2099-",
        ),
        (
            [&over, &good],
            None,
            false,
            "c.pem: certificate 1: it expired on 2021-",
        ),
    ] {
        let chain = chain.map(Clone::clone);
        let found = chain_faults(Path::new("c.pem"), &chain, listen, now());
        let told = |it: &ChainFault| format!("{}: {}", it.place, it.reason).starts_with(part);
        let errors = found.iter().filter(|it| it.is_error).count();
        let found = found
            .iter()
            .find(|it| told(it))
            .unwrap_or_else(|| panic!("{found:?}"));
        assert_eq!(
            (found.is_error, errors),
            (is_error, usize::from(is_error)),
            "{part}"
        );
    }
}

#[test]
fn names_do_not_drive_a_terminal_and_the_first_of_many_are_told() {
    let der = made(&["a\u{1b}[31m\nb", "\u{7f}c"], |_| {});
    let found = faults(&der, &["gateway1"]);
    let part = "clients accept it for none of these names: a\\u{1b}[31m\\u{a}b, \\u{7f}c;";
    assert!(found[0].1.starts_with(part), "{found:?}");
    let names: Vec<String> = (1..=200).map(|number| format!("n{number}.site")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = faults(&made(&names, |_| {}), &["gateway1"]);
    assert!(
        found[0].1.contains("n10.site and 190 more, and"),
        "{found:?}"
    );
    assert_eq!(faults(&made(&names, |_| {}), &["n150.site"]), []);
}

#[test]
fn what_clients_refuse_is_told() {
    let names = &["gateway1"][..];
    type Change = fn(&mut CertificateParams);
    let cases: [(&[&str], Change, bool, &str); 9] = [
        (
            names,
            |it| it.not_after = date_time_ymd(2026, 11, 20),
            true,
            "expired on 2026-11-20T00:00:00Z (9 days",
        ),
        (
            names,
            |it| it.not_before = date_time_ymd(2026, 12, 1),
            true,
            "not valid before 2026-12-01",
        ),
        (
            names,
            |it| it.not_after = date_time_ymd(2026, 12, 10),
            false,
            "expires on 2026-12-10T00:00:00Z (in 10 days)",
        ),
        (&[], |_| {}, false, "no name of a server"),
        (
            &["other.site", "10.0.0.1"],
            |_| {},
            false,
            "it is for other.site, 10.0.0.1, and for none of gateway1",
        ),
        (
            names,
            |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            true,
            "no serverAuth",
        ),
        (
            names,
            |it| it.key_usages = vec![KeyUsagePurpose::KeyCertSign],
            true,
            "no digitalSignature",
        ),
        (
            names,
            |it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            false,
            "CA:TRUE",
        ),
        (
            names,
            |it| it.not_after = date_time_ymd(2051, 1, 1),
            true,
            "",
        ),
    ];
    for (names, change, is_error, part) in cases {
        let found = faults(&made(names, change), &["gateway1"]);
        if part.is_empty() {
            assert_eq!(found, []);
            continue;
        }
        assert!(
            found.len() == 1 && found[0].0 == is_error,
            "{part}: {found:?}"
        );
        assert!(found[0].1.contains(part), "{found:?}");
    }
    let both = |it: &mut CertificateParams| {
        it.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        it.key_usages = vec![
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::DigitalSignature,
        ];
    };
    assert_eq!(faults(&made(names, both), &["gateway1"]), []);
}

#[test]
fn what_is_cut_is_none() {
    let der = made(&["gateway1"], |_| {});
    for length in 0..der.len() {
        assert_eq!(Certificate::read(&der[..length]), None, "{length}");
    }
}
