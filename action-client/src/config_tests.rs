//! Tests of `config`: places, keys, overrides and refusals.

use super::*;
use tempfile::TempDir;

fn folder(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.yaml");
    fs::write(&file, text).unwrap();
    (folder, file)
}

fn load(text: &str) -> Result<Config> {
    let (_folder, file) = folder(text);
    Config::load(Some(&file), &Environment::default())
}

fn message(text: &str) -> String {
    load(text).unwrap_err().one_line()
}

#[test]
fn the_example_of_the_original_is_read() {
    let config = load("base_url: https://gateway1/action\njwt_token: 1a2b3c4d5e\n").unwrap();
    assert_eq!(config.base_url, "https://gateway1/action");
    assert_eq!(config.token.bearer_header(), "Bearer 1a2b3c4d5e");
    assert!(config.verify_ssl);
    assert_eq!(config.timeout, DEFAULT_TIMEOUT);
}

#[test]
fn the_token_is_never_shown() {
    let config = load("base_url: https://g\njwt_token: s3cr3t\n").unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"));
    for text in [
        "base_url: https://g\njwt_token: s3cr3t x\n",
        "jwt_token: s3cr3t\n",
    ] {
        assert!(!message(text).contains("s3cr3t"), "{}", message(text));
    }
}

#[test]
fn an_unknown_key_is_named_with_the_file() {
    let text = message("base_url: https://g\njwt_tokn: x\n");
    assert!(
        text.contains("client.yaml") && text.contains("jwt_tokn"),
        "{text}"
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let (folder, file) = folder("base_url: https://g\njwt_token_path: jwt\nca_path: ca.pem\n");
    fs::write(folder.path().join("jwt"), "abc\n").unwrap();
    fs::write(folder.path().join("ca.pem"), "pem").unwrap();
    let config = Config::load(Some(&file), &Environment::default()).unwrap();
    assert_eq!(config.token.bearer_header(), "Bearer abc");
    assert_eq!(
        config.ca.map(|ca| ca.pem).as_deref(),
        Some(b"pem".as_slice())
    );
}

#[test]
fn the_environment_overrides_each_key() {
    let (_folder, file) = folder("base_url: https://g\njwt_token_path: nowhere\n");
    let environment = Environment::from([
        ("ACTION_CLIENT_BASE_URL", "http://127.0.0.1:1/x/"),
        ("ACTION_CLIENT_JWT_TOKEN", "t"),
        ("ACTION_CLIENT_VERIFY_SSL", "false"),
        ("ACTION_CLIENT_TIMEOUT", "5s"),
    ]);
    let config = Config::load(Some(&file), &environment).unwrap();
    assert_eq!(config.base_url, "http://127.0.0.1:1/x");
    assert_eq!(config.token.bearer_header(), "Bearer t");
    assert!(!config.verify_ssl);
    assert_eq!(config.timeout, Duration::from_secs(5));
}

#[test]
fn places_are_tried_in_order() {
    let (folder, file) = folder("base_url: https://named\njwt_token: t\n");
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".config/action")).unwrap();
    fs::write(
        home.join(HOME_PATH),
        "base_url: https://home\njwt_token: t\n",
    )
    .unwrap();
    let home = home.to_str().unwrap();
    let by_home = Environment::from([("HOME", home)]);
    assert_eq!(
        Config::load(None, &by_home).unwrap().base_url,
        "https://home/"
    );
    let by_variable = Environment::from([("HOME", home), (PATH_VARIABLE, file.to_str().unwrap())]);
    assert_eq!(
        Config::load(None, &by_variable).unwrap().base_url,
        "https://named/"
    );
}

#[test]
fn a_named_file_must_be_there() {
    let error = Config::load(Some(Path::new("nowhere.yaml")), &Environment::default());
    assert!(error.unwrap_err().one_line().contains("--config"));
}

#[test]
fn nothing_found_says_where_it_looked() {
    let error = nothing_found(&Environment::from([("HOME", "/h")]));
    let text = error.one_line();
    assert!(text.contains("/h/.config/action/client.yaml"), "{text}");
    assert!(
        text.contains(SYSTEM_PATH) && text.contains(PATH_VARIABLE),
        "{text}"
    );
    assert!(!error.hints().is_empty());
}

#[test]
fn a_token_never_travels_in_plain_text() {
    let refused = [
        "http://gateway1",
        "http://10.0.0.1:6304",
        "http://127.0.0.1.example.org",
    ];
    for url in refused {
        let error = load(&format!("base_url: {url}\njwt_token: t\n")).unwrap_err();
        assert!(error.to_string().contains("plain text"), "{url}: {error}");
    }
    let accepted = [
        "http://127.0.0.1:6304",
        "http://127.9.9.9",
        "http://[::1]:6304",
        "http://localhost",
    ];
    for url in accepted {
        load(&format!("base_url: '{url}'\njwt_token: t\n")).unwrap();
    }
}

#[test]
fn bad_values_are_refused() {
    let bad = [
        ("base_url: gateway1\njwt_token: t\n", "https://"),
        ("base_url: ftp://gateway1\njwt_token: t\n", "https://"),
        ("base_url: https://u:p@g\njwt_token: t\n", "host, a port"),
        ("base_url: https://g?x=1\njwt_token: t\n", "host, a port"),
        ("base_url: https://g\njwt_token: t\ntimeout: 5\n", "timeout"),
        (
            "base_url: https://g\njwt_token: t\ntimeout: 0s\n",
            "timeout",
        ),
        (
            "base_url: https://g\njwt_token: t\nverify_ssl: 3\n",
            "verify_ssl",
        ),
        (
            "base_url: https://g\njwt_token: t\njwt_token_path: p\n",
            "both",
        ),
        ("base_url: https://g\n", "no token"),
        ("base_url: https://g\njwt_token: ''\n", "empty"),
        ("jwt_token: t\n", "base_url"),
        ("", "base_url"),
        ("[1, 2]\n", "client.yaml"),
    ];
    for (text, part) in bad {
        assert!(message(text).contains(part), "{text}: {}", message(text));
    }
}
