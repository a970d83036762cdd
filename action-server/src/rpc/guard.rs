//! The door: every call passes here, whatever it calls, and none without a valid token; and no answer
//! goes on once the token is good no more.
//!
//! A layer over the whole router and not an interceptor of one service, so that a service that
//! is added later cannot be forgotten. The token's scheme is RFC 6750's, in one `authorization`.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{
    refusal::{Refusals, Wrong},
    revocable_answer::RevocableAnswer,
};
use crate::{
    auth::{Authority, Caller},
    net::Peer,
    traces::Traces,
};

/// The one method that is open to everybody: load balancers ask it.
const OPEN: &str = "/grpc.health.v1.Health/Check";

/// The longest token that is looked at, in bytes.
const TOKEN_LIMIT: usize = 8 * 1024;

/// Lets calls with a valid token pass, with their [`Caller`] in the request's extensions.
#[derive(Clone)]
pub(crate) struct Guard {
    authority: Arc<Authority>,
    refusals: Refusals,
    traces: Traces,
}

impl Guard {
    /// A guard who knows valid tokens by `authority`.
    pub(crate) fn new(authority: Arc<Authority>, refusals: Refusals, traces: Traces) -> Guard {
        Guard {
            authority,
            refusals,
            traces,
        }
    }

    fn judge(&self, headers: &HeaderMap) -> Result<Caller, Wrong> {
        let token = bearer(headers).map_err(|reason| Wrong {
            class: match headers.contains_key(AUTHORIZATION) {
                true => "header",
                false => "missing",
            },
            reason: reason.to_owned(),
        })?;
        self.authority.verify(token).map_err(|error| Wrong {
            class: error.class(),
            reason: error.to_string(),
        })
    }
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

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            guard: self.clone(),
            inner,
        }
    }
}

/// A service behind the [`Guard`].
#[derive(Clone)]
pub(crate) struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().cloned();
        if request.uri().path() != OPEN {
            match self.guard.judge(request.headers()) {
                Ok(caller) => {
                    // A caller that may pass may also keep its connection. The open method is no
                    // such call: whoever may call it could hold all connections with it.
                    peer.iter().for_each(Peer::admit);
                    return self.pass(request, caller);
                }
                Err(wrong) => {
                    let answer = self.guard.refusals.refuse(&request, wrong);
                    return Box::pin(async { Ok(answer.await) });
                }
            }
        }
        Box::pin(self.inner.call(request))
    }
}

impl<S> Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    /// Lets a call pass, in a span of its own. Calls without a token have none: it would be part of
    /// a trace that anybody could name.
    fn pass(
        &mut self,
        mut request: Request<Body>,
        caller: Caller,
    ) -> <Self as Service<Request<Body>>>::Future {
        let path = request.uri().path();
        let span = self.guard.traces.call(path, request.headers());
        span.set("action.subject", caller.subject.clone());
        request.extensions_mut().insert(caller.clone());
        request.extensions_mut().insert(span.clone());
        let authority = Arc::clone(&self.guard.authority);
        let answer = self.inner.call(request);
        Box::pin(async {
            let answer = answer.await?;
            let mut answer = match hyper::body::Body::is_end_stream(answer.body()) {
                true => answer,
                false => {
                    answer.map(|body| Body::new(RevocableAnswer::new(body, authority, caller)))
                }
            };
            // It ends with the answer's last byte: see `count`.
            answer.extensions_mut().insert(span);
            Ok(answer)
        })
    }
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
