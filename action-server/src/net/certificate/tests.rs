//! Tests of what certificates say.

use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use super::*;

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
