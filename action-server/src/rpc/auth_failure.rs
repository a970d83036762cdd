//! Calls without a valid token: a line in the audit log, a delay for addresses that send many, and one
//! constant answer.

use std::{net::IpAddr, time::Duration};

use http::{Request, Response};
use tonic::{Status, body::Body};

use crate::{
    audit::{Audit, Event},
    metrics::Metrics,
    net::{AuthFailureLimiter, Peer},
};

/// How long the answer to an address that sent many is delayed.
const DELAY: Duration = Duration::from_secs(1);
/// How often calls without a line of their own are summed up.
const SUMMARY_INTERVAL: Duration = Duration::from_secs(5);

/// Answers calls without a valid token.
#[derive(Clone)]
pub(crate) struct AuthFailures {
    audit: Audit,
    metrics: Metrics,
    limiter: AuthFailureLimiter,
}

/// Why a call has no valid token.
#[derive(Debug)]
pub(super) struct AuthFailure {
    /// The label of the metric.
    pub(super) class: &'static str,
    /// For the log.
    pub(super) reason: String,
}

impl AuthFailures {
    pub(crate) fn new(audit: Audit, metrics: Metrics) -> AuthFailures {
        AuthFailures {
            audit,
            metrics,
            limiter: AuthFailureLimiter::default(),
        }
    }

    /// Refuses a call.
    pub(super) fn refuse(
        &self,
        request: &Request<Body>,
        failure: AuthFailure,
    ) -> impl Future<Output = Response<Body>> + Send + use<> {
        self.metrics.token_refused(failure.class);
        let address = request
            .extensions()
            .get::<Peer>()
            .map(|peer| peer.address.ip());
        let decision = address.map(|address| self.limiter.note(address));
        let line = decision.is_none_or(|it| it.has_line).then(|| {
            let method = request.uri().path().to_owned();
            let event = Event::token_refused(address.map(canonical), method, failure.reason);
            (self.audit.clone(), event)
        });
        async move {
            if let Some((audit, event)) = line {
                // A log that fails has said so. The call is refused anyhow.
                _ = audit.write(event).await;
            }
            if decision.is_some_and(|it| it.is_delayed) {
                tokio::time::sleep(DELAY).await;
            }
            // One text for every reason: a caller without a token learns nothing.
            unauthenticated().into_http()
        }
    }

    /// Writes a line for each address that sent calls without one, again and again.
    pub(crate) async fn write_summaries(self) {
        loop {
            tokio::time::sleep(SUMMARY_INTERVAL).await;
            for (origin, repeated) in self.limiter.sum_up() {
                let address = origin.to_string();
                let event = Event::TokensRefused { address, repeated };
                _ = self.audit.write(event).await;
            }
        }
    }
}

/// The answer to every call without a valid token.
pub(super) fn unauthenticated() -> Status {
    Status::unauthenticated("a valid token is needed")
}

/// An address as people know it, also where IPv4 comes by way of IPv6.
pub(super) fn canonical(address: IpAddr) -> String {
    address.to_canonical().to_string()
}
