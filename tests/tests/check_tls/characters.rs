//! Characters that editors put into secrets, YAML and scripts unasked.

use super::*;

#[test]
fn a_secret_with_more_than_its_own_characters_is_told() {
    let site = Site::new();
    let secret = site.secret();
    let token = site.token();
    for (text, part) in [
        (format!("{secret}\n"), "0 warnings"),
        (secret.clone(), "0 warnings"),
        (
            format!("{secret}\n\n"),
            "warning: SITE/jwt_secret: the secret ends with a newline, beside the one that ends the file",
        ),
        (
            format!("{secret}\r\n"),
            "warning: SITE/jwt_secret: the secret ends with a carriage return",
        ),
        (
            format!("{secret} \n"),
            "warning: SITE/jwt_secret: the secret ends with a blank",
        ),
        (
            format!("\u{feff}{secret}\n"),
            "warning: SITE/jwt_secret: the secret begins with a byte order mark",
        ),
    ] {
        site.write("jwt_secret", text);
        says(&site.server_verb(&["check"]), 0, part);
    }
    // Such a secret stays what it is: tokens that it has signed are good, others are not.
    site.write("jwt_secret", format!("{secret} \n"));
    let made = site.server_verb(&["generate-token"]).ok().stdout();
    let server = site.start();
    server.wait_for_log("the secret ends with a blank");
    assert!(server.api_with(Some(made.trim())).node_names() == ["n1"]);
    let refused = server.api_with(Some(&token)).list_nodes(Default::default());
    assert!(refused.is_err());
}

#[test]
fn a_byte_order_mark_is_no_part_of_yaml_and_named_in_scripts() {
    let site = Site::new();
    site.command("hello", "echo hello");
    site.write(
        "policy.yaml",
        "rules: [{name: a, allow: [all], subjects: ['*']}]\n",
    );
    site.settings("policy_path: policy.yaml");
    for file in [
        "server.yaml",
        "nodes.yaml",
        "policy.yaml",
        "libexec/hello/metadata.yaml",
        "client.yaml",
    ] {
        site.write(file, format!("\u{feff}{}", site.read(file)));
    }
    says(
        &site.server_verb(&["check"]),
        0,
        "1 node and 1 command can be used; 0 errors",
    );
    for (start, part) in [
        ("\u{feff}#!/bin/bash\n", "it begins with a byte order mark"),
        ("#!/usr/bin/env bash\r\n", "Windows line ends"),
        ("#!/bin/bash -e\r\n", "Windows line ends"),
        ("#!/bin/bash\r\n", "Windows line ends"),
    ] {
        site.whole_script("hello/default.sh", format!("{start}echo hello\n"));
        says(&site.server_verb(&["check"]), 78, part);
    }
    site.script("hello/default.sh", "echo hello");
    let server = site.start();
    let text = format!(
        "\u{feff}base_url: http://{}\njwt_token: {}\n",
        server.address(),
        server.token().trim_start_matches('\u{feff}')
    );
    server.write("client.yaml", text);
    let ran = action_tests::Client::new(&server).run(&["run", "hello", "n1"]);
    assert_eq!(ran.stdout(), "hello\n", "{ran}");
}
