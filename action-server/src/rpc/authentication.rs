//! Every call passes here, and none without a valid token; and no answer goes on once its token is
//! revoked.
//!
//! The token's scheme is RFC 6750's, in one `authorization`.

use std::sync::Arc;

use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use hyper::body::Body as _;
use tonic::{body::Body, service::Routes};
use tower::ServiceExt as _;

use super::{
    auth_failure::{AuthFailure, AuthFailures},
    revocable_answer::RevocableAnswer,
};
use crate::{
    auth::{Authority, Caller},
    net::Peer,
    traces::Traces,
};

/// The one method that needs no token: load balancers call it.
const OPEN: &str = "/grpc.health.v1.Health/Check";

/// The longest authorization that is read, in bytes.
const TOKEN_LIMIT: usize = 8 * 1024;

/// Passes calls with a valid token on, with their [`Caller`] in the request's extensions.
pub(crate) struct Authenticator {
    pub(crate) authority: Arc<Authority>,
    pub(crate) failures: AuthFailures,
    pub(crate) traces: Traces,
}

impl Authenticator {
    pub(super) async fn answer(&self, routes: Routes, request: Request<Body>) -> Response<Body> {
        if request.uri().path() == OPEN {
            return call(routes, request).await;
        }
        match self.authenticate(request.headers()) {
            Ok(caller) => {
                // From now on the connection may be idle. The open method admits none: anybody could
                // hold all connections with it.
                if let Some(peer) = request.extensions().get::<Peer>() {
                    peer.admit();
                }
                self.call_as(caller, routes, request).await
            }
            Err(failure) => {
                let refused = self.failures.refuse(&request, failure);
                drop(request);
                refused.await
            }
        }
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, AuthFailure> {
        let token = bearer(headers).map_err(|reason| AuthFailure {
            class: if headers.contains_key(AUTHORIZATION) {
                "header"
            } else {
                "missing"
            },
            reason: reason.to_owned(),
        })?;
        self.authority.verify(token).map_err(|error| AuthFailure {
            class: error.class(),
            reason: error.to_string(),
        })
    }

    /// Calls the method in a span of its own. Calls without a token have none: anybody could add it to any
    /// trace.
    async fn call_as(
        &self,
        caller: Caller,
        routes: Routes,
        mut request: Request<Body>,
    ) -> Response<Body> {
        let path = request.uri().path();
        let span = self.traces.call(path, request.headers());
        span.set("action.subject", caller.subject.clone());
        request.extensions_mut().insert(caller.clone());
        let mut answer = span.scope(call(routes, request)).await;
        if !answer.body().is_end_stream() {
            let authority = Arc::clone(&self.authority);
            answer = answer.map(|body| Body::new(RevocableAnswer::new(body, authority, caller)));
        }
        // It ends with the last byte of the answer: see `call_metrics`.
        answer.extensions_mut().insert(span);
        answer
    }
}

async fn call(routes: Routes, request: Request<Body>) -> Response<Body> {
    let Ok(answer) = routes.oneshot(request).await;
    answer
}

/// The token of the one authorization header. The errors are for the log.
fn bearer(headers: &HeaderMap) -> Result<&str, &'static str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or("no authorization")?;
    if values.next().is_some() {
        return Err("more than one authorization");
    }
    if value.len() > TOKEN_LIMIT {
        return Err("the authorization is too long");
    }
    let text = value
        .to_str()
        .map_err(|_| "the authorization is not ASCII")?;
    match text.split_once(' ') {
        // The scheme's case does not matter: RFC 9110, section 11.1.
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && is_token(token) => {
            Ok(token)
        }
        _ => Err("the authorization is not `Bearer TOKEN`"),
    }
}

fn is_token(token: &str) -> bool {
    !token.is_empty()
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::corruption;

    fn read(values: &[&[u8]]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, http::HeaderValue::from_bytes(value).unwrap());
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn one_bearer_token_and_nothing_else() {
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            assert_eq!(read(&[good.as_bytes()]).as_deref(), Ok("a.b.c"), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Basic a.b.c",
            "Bearer\ta.b.c",
            "Bearer  a.b.c",
            "Bearer a.b.c ",
            "Bearer a.b.c, Bearer d",
            "a.b.c",
            "Bearer a.b+c",
            "Bearer a.b.c=",
        ] {
            assert!(read(&[bad.as_bytes()]).is_err(), "{bad}");
        }
        assert!(read(&[]).is_err());
        assert!(read(&[b"Bearer a", b"Bearer a"]).is_err());
        assert!(read(&["Bearer \u{e9}".as_bytes()]).is_err());
        assert!(read(&[format!("Bearer {}", "a".repeat(TOKEN_LIMIT)).as_bytes()]).is_err());
    }
    fn header() -> impl Strategy<Value = Vec<u8>> {
        let strange = (
            0usize..=12,
            proptest::sample::select(&b"=+/, \t:~%\xe9"[..]),
        );
        let long = (0usize..2 * TOKEN_LIMIT).prop_map(|length| vec![b'a'; length]);
        prop_oneof![
            3 => corruption::damages().prop_map(|damages| corruption::apply(&damages, b"Bearer a-._z09.b.c")),
            3 => strange.prop_map(|(at, byte)| {
                let mut value = b"Bearer a.b.c".to_vec();
                value.insert(at, byte);
                value
            }),
            1 => vec(any::<u8>(), 0..40),
            1 => long.prop_map(|token| [b"bEARER ", &token[..]].concat()),
        ]
        .prop_map(|mut value| {
            // What no header can hold never comes here.
            value.retain(|byte| http::HeaderValue::from_bytes(&[*byte]).is_ok());
            value
        })
    }

    /// The one form, byte by byte.
    fn model(values: &[Vec<u8>]) -> Option<&[u8]> {
        let [value] = values else { return None };
        let (scheme, token) = value.split_at_checked("Bearer ".len())?;
        let is_scheme = scheme.eq_ignore_ascii_case(b"bearer ");
        let is_token = token.iter().all(
            |byte| matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.'),
        );
        let fits = !token.is_empty() && value.len() <= TOKEN_LIMIT;
        (is_scheme && is_token && fits).then_some(token)
    }

    proptest! {
        #[test]
        fn no_other_bytes_pass(values in prop_oneof![
            8 => vec(header(), 1),
            1 => vec(header(), 0..3),
        ]) {
            let slices: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
            let token = read(&slices).ok();
            prop_assert_eq!(token.as_deref().map(str::as_bytes), model(&values));
        }
    }
}
