//! Warns before the token expires, by its own claims. Checks no signature.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use std::time::Duration;

/// Warned is when less than this part of the lifetime is left.
const LAST_PART: f64 = 0.1;

/// When a token was made and when it expires, in seconds since 1970; RFC 7519 allows fractions.
#[derive(Deserialize)]
struct TokenClaims {
    iat: f64,
    exp: f64,
}

/// The warning at `now`, in seconds since 1970, for a token that expires soon.
pub(crate) fn warning(token: &str, now: u64) -> Option<String> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload);
    let claims: TokenClaims = serde_json::from_slice(&payload.ok()?).ok()?;
    let lifetime = claims.exp - claims.iat;
    let now = Duration::from_secs(now).as_secs_f64();
    let left = claims.exp - now;
    if !lifetime.is_finite() || lifetime <= 0.0 || left >= lifetime * LAST_PART {
        return None;
    }
    let text = match Duration::try_from_secs_f64(left.abs()).map(in_two_units) {
        Ok(time) if left > 0.0 => format!("your token expires in {time}"),
        Ok(time) => format!("your token expired {time} ago"),
        Err(_) => "your token has expired".to_owned(),
    };
    Some(format!("{text}; ask the server's admin for a new one"))
}

/// A duration as people read it, without what is too small to matter: `2days 3h`, `4m 5s`.
fn in_two_units(time: Duration) -> String {
    let time = humantime::format_duration(Duration::from_secs(time.as_secs())).to_string();
    time.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.sig", part("{\"alg\":\"HS256\"}"), part(claims))
    }

    #[test]
    fn the_last_tenth_of_a_lifetime_is_warned_of() {
        let day = 24 * 3600;
        let claims = format!(r#"{{"sub":"a","iat":0,"exp":{}}}"#, 30 * day);
        let at = |now| warning(&token(&claims), now);
        assert_eq!(at(0), None);
        assert_eq!(at(27 * day), None, "a tenth is left");
        assert_eq!(
            at(27 * day + 1).unwrap(),
            "your token expires in 2days 23h; ask the server's admin for a new one"
        );
        assert!(
            at(30 * day - 5)
                .unwrap()
                .starts_with("your token expires in 5s;")
        );
        assert!(
            at(30 * day)
                .unwrap()
                .starts_with("your token expired 0s ago;")
        );
        assert!(
            at(31 * day)
                .unwrap()
                .starts_with("your token expired 1day ago;")
        );
    }

    #[test]
    fn what_says_nothing_of_its_time_is_not_warned_of() {
        for claims in [
            r#"{"exp":100}"#,
            r#"{"iat":0}"#,
            r#"{"iat":100,"exp":100}"#,
            r#"{"iat":200,"exp":100}"#,
            r#"{"iat":"0","exp":"100"}"#,
            r#"{"iat":null,"exp":null}"#,
            "[]",
            "",
        ] {
            assert_eq!(warning(&token(claims), 1_000_000), None, "{claims}");
        }
        for text in ["", "x", "a.b", "a.!!.c", "..", "a.eyJ"] {
            assert_eq!(warning(text, 1_000_000), None, "{text}");
        }
        for exp in ["1e308", "-1e308"] {
            let claims = format!(r#"{{"iat":-1e308,"exp":{exp}}}"#);
            assert_eq!(warning(&token(&claims), 1_000_000), None, "{claims}");
        }
        assert!(warning(&token(r#"{"iat":0.5,"exp":100.5}"#), 99).is_some());
    }
}
