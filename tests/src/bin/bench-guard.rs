//! What it costs that not everybody may do everything: a run of many nodes with a policy against
//! the same run without one, what the parts cost by themselves, and how long an honest caller
//! waits while another floods the server with bad tokens.
//!
//! `cargo run --release -p action-tests --bin bench-guard`; the goals are a ratio below 1.05 for
//! the run and of at most 2 for the wait.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "it reports to whoever runs it, and stops at what it does not expect"
)]

use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use action_proto::v1::{
    ListNodesRequest, PlanRunRequest, action_service_client::ActionServiceClient,
};
use action_server::{
    auth::{AuthSources, Authority, TokenRules, TokenSecret},
    trust::Trust,
};
use action_tests::{
    Api, CEILING, Server, Site,
    bench::{NODES, median, ratio, rules, site, time_of_run},
    on, token, wait_until,
};
use jsonwebtoken::Algorithm;
use tokio::{runtime, task::JoinSet, time::timeout};
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};

/// How many runs of each kind there are.
const RUNS: usize = 15;
/// How many times a flood comes and goes.
const ROUNDS: usize = 9;
/// How many calls are timed for one figure.
const CALLS: usize = 1000;
/// How many calls the flood has in flight: the server's limit for one connection.
const STREAMS: usize = 100;
/// How long a flooder waits who does not wait for answers.
const IMPATIENCE: Duration = Duration::from_millis(2);

fn main() {
    let (open, guarded) = (site().start(), guarded_site().start());
    // The policy is asked: who has not the role may not.
    let (code, _) = guarded.api().refused(on("hello", "@*"));
    assert_eq!(code, Code::PermissionDenied);
    let run = cost_of_a_run(&open, &guarded);
    cost_of_parts(&open, &guarded, run);
    cost_of_a_flood(&guarded, "a flood that waits for answers", CEILING);
    cost_of_a_flood(&guarded, "a flood that does not", IMPATIENCE);
}

/// A site with 30 rules, of which each concerns the caller, and it takes 25 to cover all nodes.
fn guarded_site() -> Site {
    let site = site();
    site.write("policy.yaml", rules(NODES));
    site.settings("policy_path: policy.yaml");
    site
}

fn token_of(site: &Site) -> String {
    let claims = token::with(token::claims(), "roles", vec!["op"]);
    token::signed(&claims, &site.secret(), Algorithm::HS256)
}

fn caller(server: &Server) -> Api {
    server.api_with(Some(&token_of(server)))
}

/// A run with a policy against one without, in turn: how long the one without takes.
fn cost_of_a_run(open: &Server, guarded: &Server) -> Duration {
    let (open, guarded) = (caller(open), caller(guarded));
    // The first of each fills caches.
    time_of_run(&open);
    time_of_run(&guarded);
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 0..RUNS {
        // Each goes first as often as the other.
        if round % 2 == 0 {
            without.push(time_of_run(&open));
        }
        with.push(time_of_run(&guarded));
        if round % 2 == 1 {
            without.push(time_of_run(&open));
        }
    }
    // Each beside its neighbour: the machine's other work comes and goes.
    let mut ratios: Vec<f64> = { with.iter().zip(&without) }
        .map(|(with, without)| ratio(*with, *without))
        .collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let (without, with) = (median(without), median(with));
    println!(
        "a run of {NODES} nodes, medians of {RUNS}: with a policy {} ms, without {} ms, ratio {:.3}",
        with.as_millis(),
        without.as_millis(),
        ratios[RUNS / 2]
    );
    without
}

/// What runs differ too much from each other to show: the parts by themselves, as shares of a run.
fn cost_of_parts(open: &Server, guarded: &Server, run: Duration) {
    let share = |cost: Duration| 100.0 * ratio(cost, run);
    let planned = |server| {
        let api = caller(server);
        let plan = || PlanRunRequest {
            command: "hello".into(),
            nodes: "@*".into(),
            ..PlanRunRequest::default()
        };
        time_of(|| assert_eq!(api.plan(plan()).unwrap().jobs.len(), NODES))
    };
    let (without, with) = (planned(open), planned(guarded));
    println!(
        "to plan it: with a policy {with:.2?}, without {without:.2?}; the difference is {:.2}% of a run",
        share(with.saturating_sub(without))
    );

    let authority = Authority::open(AuthSources {
        secret: Some(TokenSecret::new(guarded.secret().into_bytes(), "the secret").unwrap()),
        key_directory: None,
        revocations: guarded.path("state/revoked.jsonl"),
        policy: None,
        terms: TokenRules::default(),
        trust: Trust::Lax,
    });
    let (authority, token) = (authority.unwrap(), token_of(guarded));
    let verified = time_of(|| assert!(authority.verify(&token).is_ok()));
    println!(
        "to verify its token: {verified:.1?}, {:.3}% of a run",
        share(verified)
    );
    cost_of_audit(guarded, &share);
}

/// The audit log cannot be turned off: its lines are written once more, one by one, and synced.
fn cost_of_audit(server: &Server, share: &impl Fn(Duration) -> f64) {
    if !server.has("state/audit.jsonl") {
        return;
    }
    let log = || server.read("state/audit.jsonl");
    let before = log().len();
    time_of_run(&caller(server));
    // The line of its end is written when its caller has gone.
    let added = wait_until("the line of the run's end", CEILING, || {
        let added = log().split_off(before);
        added.contains("\"run_finished\"").then_some(added)
    });
    let added: Vec<&str> = added.lines().collect();
    let mut copy = File::create(server.path("copy")).unwrap();
    let written = time_of(|| {
        for line in &added {
            writeln!(copy, "{line}").unwrap();
            copy.sync_data().unwrap();
        }
    });
    println!(
        "to write its {} audit lines, each synced: {written:.0?}, {:.2}% of a run",
        added.len(),
        share(written)
    );
}

/// An honest caller's wait with a flood and without, in turn.
fn cost_of_a_flood(server: &Server, what: &str, patience: Duration) {
    let api = caller(server);
    let list = || {
        let answer = api.list_nodes(ListNodesRequest::default()).unwrap();
        assert_eq!(answer.nodes.len(), NODES);
    };
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    let (mut bad, mut time) = ([0; 2], Duration::ZERO);
    for _ in 0..ROUNDS {
        quiet.push(time_of(list));
        let flood = Flood::default();
        thread::scope(|scope| {
            let began = Instant::now();
            scope.spawn(|| flood.run(server.address(), patience));
            while flood.so_far().iter().sum::<u64>() < STREAMS as u64 {
                thread::yield_now();
            }
            flooded.push(time_of(list));
            time += began.elapsed();
            for (bad, more) in bad.iter_mut().zip(flood.so_far()) {
                *bad += more;
            }
            flood.stop.store(true, Ordering::Relaxed);
        });
    }
    let [answered, given_up] = bad.map(|calls| calls as f64 / time.as_secs_f64());
    let (quiet, flooded) = (median(quiet), median(flooded));
    println!(
        "an honest ListNodes, medians of {ROUNDS} of {CALLS} calls: {quiet:.0?}; under {what} \
         ({answered:.0} calls/s answered, {given_up:.0} given up) {flooded:.0?}, ratio {:.2}",
        ratio(flooded, quiet)
    );
}

/// Calls with bad tokens over one connection from another address, as many at once as may be.
#[derive(Default)]
struct Flood {
    stop: AtomicBool,
    answered: AtomicU64,
    given_up: AtomicU64,
}

impl Flood {
    fn so_far(&self) -> [u64; 2] {
        [&self.answered, &self.given_up].map(|count| count.load(Ordering::Relaxed))
    }

    fn run(&self, server: SocketAddr, patience: Duration) {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let endpoint = Endpoint::from_shared(format!("http://{server}")).unwrap();
            let endpoint = endpoint.local_address(Some(Ipv4Addr::new(127, 0, 0, 2).into()));
            let client = ActionServiceClient::new(endpoint.connect_lazy());
            let call = || call_in_vain(client.clone(), patience);
            let mut calls: JoinSet<_> = (0..STREAMS).map(|_| call()).collect();
            while !self.stop.load(Ordering::Relaxed) {
                match calls.join_next().await.unwrap().unwrap() {
                    Some(Code::Unauthenticated) => self.answered.fetch_add(1, Ordering::Relaxed),
                    None => self.given_up.fetch_add(1, Ordering::Relaxed),
                    // The connection is closed: there will be another.
                    Some(_) => 0,
                };
                calls.spawn(call());
            }
        });
    }
}

/// What the server answers to a bad token; `None` when the caller did not wait for it.
async fn call_in_vain(
    mut client: ActionServiceClient<Channel>,
    patience: Duration,
) -> Option<Code> {
    let mut request = Request::new(ListNodesRequest::default());
    let metadata = request.metadata_mut();
    metadata.insert("authorization", "Bearer bad.bad.bad".parse().unwrap());
    let answer = timeout(patience, client.list_nodes(request)).await.ok()?;
    Some(answer.unwrap_err().code())
}

/// The median time of many calls, one after the other.
fn time_of(mut call: impl FnMut()) -> Duration {
    let times = (0..CALLS).map(|_| {
        let began = Instant::now();
        call();
        began.elapsed()
    });
    median(times.collect())
}
