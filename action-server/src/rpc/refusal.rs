//! What comes of a call without a valid token: a line in the audit log, a wait for who has sent
//! many of them, and one constant answer.

use std::{net::IpAddr, time::Duration};

use http::{Request, Response};
use tonic::{Status, body::Body};

use crate::{
    audit::{Audit, Event, Who},
    metrics::Metrics,
    net::{Peer, Suspects},
};

/// How long who has sent many waits for the answer.
const PENALTY: Duration = Duration::from_secs(1);
/// How often those are looked for whose calls are to be summed up.
const INTERVAL: Duration = Duration::from_secs(5);

/// Answers calls without a valid token.
#[derive(Clone)]
pub(crate) struct Refusals {
    audit: Audit,
    metrics: Metrics,
    suspects: Suspects,
}

/// What is wrong with a call's token.
#[derive(Debug)]
pub(super) struct Wrong {
    /// One of few words.
    pub(super) class: &'static str,
    /// For the log.
    pub(super) reason: String,
}

impl Refusals {
    pub(crate) fn new(audit: Audit, metrics: Metrics) -> Refusals {
        Refusals {
            audit,
            metrics,
            suspects: Suspects::default(),
        }
    }

    /// Refuses a call.
    pub(super) fn refuse<B>(
        &self,
        request: &Request<B>,
        wrong: Wrong,
    ) -> impl Future<Output = Response<Body>> + Send + use<B> {
        self.metrics.token_refused(wrong.class);
        let address = request
            .extensions()
            .get::<Peer>()
            .map(|peer| peer.address.ip());
        let verdict = address.map(|address| self.suspects.note(address));
        let told = verdict.is_none_or(|verdict| verdict.is_told).then(|| {
            let event = Event {
                method: Some(request.uri().path().to_owned()),
                reason: Some(wrong.reason),
                ..refused(address.map(shown))
            };
            (self.audit.clone(), event.cut())
        });
        async move {
            if let Some((audit, event)) = told {
                // A log that fails has said so. The call is refused anyhow.
                _ = audit.write(event).await;
            }
            if verdict.is_some_and(|verdict| verdict.is_late) {
                tokio::time::sleep(PENALTY).await;
            }
            // One text for every reason: a caller without a token learns nothing.
            unauthenticated().into_http()
        }
    }

    /// Writes a line for those of whose calls some had none, again and again.
    pub(crate) async fn sum_up(self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            for (origin, repeated) in self.suspects.sum_up() {
                let event = Event {
                    repeated: Some(repeated),
                    ..refused(Some(origin.to_string()))
                };
                _ = self.audit.write(event).await;
            }
        }
    }
}

/// What everybody is told whose token is not good.
pub(super) fn unauthenticated() -> Status {
    Status::unauthenticated("a valid token is needed")
}

fn refused(address: Option<String>) -> Event {
    Event {
        who: Who {
            address,
            ..Who::default()
        },
        ..Event::new("token_refused")
    }
}

/// An address as people know it, also where IPv4 comes by way of IPv6.
pub(super) fn shown(address: IpAddr) -> String {
    address.to_canonical().to_string()
}
