//! Certificates that the client does not accept: it says which one, why, and what to do.

use action_tests::{
    Server,
    wait::{CEILING, wait_until},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};

use super::{client, says, serving};

/// A certificate for localhost from one year to another, signed by `issuer` or by itself.
fn dated(
    years: [i32; 2],
    is_authority: bool,
    issuer: Option<&Issuer<'static, KeyPair>>,
) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    [params.not_before, params.not_after] = years.map(|year| date_time_ymd(year, 1, 1));
    if is_authority {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("authority of {years:?}");
        params.distinguished_name.push(DnType::CommonName, name);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match issuer {
        Some(issuer) => params.signed_by(&key, issuer).unwrap(),
        None => params.self_signed(&key).unwrap(),
    };
    (certificate.pem(), Issuer::new(params, key))
}

#[test]
fn a_certificate_that_is_out_of_date_is_named_with_its_dates_and_the_remedy() {
    let server = serving();
    let (now, past, future) = ([2000, 2100], [2000, 2021], [2099, 2100]);
    let (root, of_root) = dated(now, true, None);
    let (old_root, _) = dated(past, true, None);
    for (leaf, middle, ca, said, hint) in [
        (
            past,
            now,
            &root,
            "the server's certificate cannot be used: it expired on 2021-01-01T00:00:00Z (",
            "hint: the server's admin must renew its certificate\n",
        ),
        (
            future,
            now,
            &root,
            "the server's certificate cannot be used: it is not valid before 2099-01-01T00:00:00Z",
            "hint: look whether this machine's clock is right; if it is, the server's admin must",
        ),
        (
            now,
            past,
            &root,
            "certificate 2 of those that the server sends cannot be used: it expired on 2021-01-01T00:00:00Z",
            "must put its authority's current certificate into the server's file",
        ),
        (
            now,
            now,
            &old_root,
            "UnknownIssuer; SITE/ca.pem (ca_path): certificate 1: it expired on 2021-01-01T00:00:00Z",
            "hint: put the current certificate of the server or of its authority into SITE/ca.pem",
        ),
    ] {
        let (middle, of_middle) = dated(middle, true, Some(&of_root));
        let (leaf, own) = dated(leaf, false, Some(&of_middle));
        take(&server, &format!("{leaf}{middle}"), &own);
        server.write("ca.pem", ca);
        let ran = client(&server, "ca_path: ca.pem").run(&["hello", "n1"]);
        says(&ran, 255, said);
        says(&ran, 255, hint);
    }
    // A copy of the server's own, which two must renew.
    let (own, key) = dated(past, false, None);
    take(&server, &own, &key);
    server.write("ca.pem", own);
    let ran = client(&server, "ca_path: ca.pem").run(&["nodes"]);
    says(
        &ran,
        255,
        "then a copy of the new one belongs into SITE/ca.pem (ca_path)",
    );
    assert!(!ran.stderr().contains("UNIX"), "{ran}");
}

#[test]
fn a_certificate_of_another_kind_is_told_in_words() {
    type Change = fn(&mut CertificateParams);
    let server = serving();
    let cases: [(Change, &str); 4] = [
        (
            |it| it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained),
            "caused by: the server's certificate is an authority's own (CA:TRUE)\nhint: ",
        ),
        (
            |it| it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "has no serverAuth\nhint: ",
        ),
        (
            |it| it.subject_alt_names = Vec::new(),
            "caused by: the server's certificate has no name of a server (subjectAltName)\nhint: ",
        ),
        (
            |it| it.subject_alt_names = ["a.site", "b.site"].map(dns_name).to_vec(),
            "is not for localhost, but for a.site, b.site\nhint: the host in `base_url` must be",
        ),
    ];
    for (change, said) in cases {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let own = params.self_signed(&key).unwrap().pem();
        take(&server, &own, &Issuer::new(params, key));
        server.write("ca.pem", own);
        let ran = client(&server, "ca_path: ca.pem").run(&["nodes"]);
        says(&ran, 255, said);
        assert_eq!(ran.stderr().matches("caused by").count(), 1, "{ran}");
        assert!(!ran.stderr().contains("OtherError"), "{ran}");
    }
}

fn dns_name(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

/// Has the server take a certificate and its key.
fn take(server: &Server, certificate: &str, own: &Issuer<'static, KeyPair>) {
    let taken = "took the new certificate";
    let before = server.log().matches(taken).count();
    server.write("pki/certificate.pem", certificate);
    server.write("pki/private_key.pem", own.key().serialize_pem());
    wait_until(taken, CEILING, || {
        (server.log().matches(taken).count() > before).then_some(())
    });
}
