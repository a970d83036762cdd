//! Many callers at once, each with a connection of its own, who run a script on one node again and
//! again: how many runs there are in a second, against as many loops that only spawn the script.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use action_proto::v1::{RunCommandRequest, action_service_client::ActionServiceClient};
use action_tests::on;
use tokio::{runtime::Runtime, task::JoinSet};
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{
    Scale,
    estate::Estate,
    fanout::bare_script,
    measure::{Measure, at_least, contender, median, side_by_side},
};

/// 1 to 64 callers: the rate, and the slowest of a hundred against the middle one.
pub(crate) fn measure(scale: &Scale) -> Vec<Measure> {
    [1, 4, 16, 64]
        .into_iter()
        .flat_map(|callers| of(callers, scale))
        .collect()
}

fn of(callers: usize, scale: &Scale) -> Vec<Measure> {
    let estate = Estate::start(64, 0);
    let runtime = Runtime::new().expect("a runtime");
    let script = estate.script("hello");
    let runs = (512 / scale.less.min(8)).max(callers);
    let each = runs / callers;
    let rate = |took: Duration| (callers * each) as f64 / took.as_secs_f64();
    let connections: Vec<_> = (0..callers).map(|_| connect(&runtime, &estate)).collect();
    let (mut middle, mut slow) = (Vec::new(), Vec::new());
    let contenders = vec![
        contender("Action", || {
            let (took, mut times) = ours(&runtime, &estate, &connections, each);
            times.sort_unstable_by(f64::total_cmp);
            middle.push(median(&times));
            slow.push(times[times.len() * 99 / 100]);
            rate(took)
        }),
        contender("bare loop", || rate(bare(&runtime, &script, callers, each))),
    ];
    let series = side_by_side(scale.rounds, contenders);
    let people = if callers == 1 {
        "caller".to_owned()
    } else {
        format!("{callers} callers")
    };
    let title = format!("runs on one node, {people}");
    let rates = Measure::new(format!("callers-{callers}"), title, "runs/s", series);
    if callers != 64 {
        return vec![rates];
    }
    // The first of them filled caches.
    let skip = usize::from(scale.rounds > 1);
    let factor = slow
        .iter()
        .zip(&middle)
        .skip(skip)
        .map(|(slow, middle)| slow / middle)
        .collect();
    let series = vec![("Action".to_owned(), factor)];
    let title = "the slowest of a hundred such runs, in medians";
    let tail = Measure::new("callers-64-tail", title, "times", series);
    vec![
        rates.goal(at_least(0.8, "bare loop")),
        tail.goal(super::measure::below(5.0)),
    ]
}

fn connect(runtime: &Runtime, estate: &Estate) -> ActionServiceClient<Channel> {
    let certificate = Certificate::from_pem(estate.server.read("pki/certificate.pem"));
    let tls = ClientTlsConfig::new().ca_certificate(certificate);
    let endpoint = Endpoint::from_shared(estate.url()).expect("a URL");
    let endpoint = endpoint.tls_config(tls).expect("TLS");
    let channel = runtime.block_on(endpoint.connect()).expect("a connection");
    ActionServiceClient::new(channel)
}

/// How long all took, and each run in milliseconds.
fn ours(
    runtime: &Runtime,
    estate: &Estate,
    connections: &[ActionServiceClient<Channel>],
    each: usize,
) -> (Duration, Vec<f64>) {
    let bearer = format!("Bearer {}", estate.token);
    runtime.block_on(async {
        let began = Instant::now();
        let mut callers = JoinSet::new();
        for (number, client) in connections.iter().enumerate() {
            let (mut client, bearer) = (client.clone(), bearer.clone());
            callers.spawn(async move {
                let mut times = Vec::with_capacity(each);
                for _ in 0..each {
                    let began = Instant::now();
                    let request = authorized(on("hello", &format!("n{}", number + 1)), &bearer);
                    let mut events = client
                        .run_command(request)
                        .await
                        .expect("a run")
                        .into_inner();
                    let mut count = 0;
                    while let Some(_event) = events.message().await.expect("an event") {
                        count += 1;
                    }
                    assert_eq!(count, 5, "started, started, output, finished, finished");
                    times.push(super::timed::millis(began.elapsed()));
                }
                times
            });
        }
        let times = callers.join_all().await.concat();
        (began.elapsed(), times)
    })
}

fn authorized(message: RunCommandRequest, bearer: &str) -> Request<RunCommandRequest> {
    let mut request = Request::new(message);
    let value = bearer.parse().expect("a header");
    request.metadata_mut().insert("authorization", value);
    request
}

fn bare(runtime: &Runtime, script: &Path, callers: usize, each: usize) -> Duration {
    runtime.block_on(async {
        let began = Instant::now();
        let mut loops = JoinSet::new();
        for number in 1..=callers {
            let script = script.to_owned();
            loops.spawn(async move {
                for _ in 0..each {
                    let output = bare_script(&script, number)
                        .output()
                        .await
                        .expect("the script");
                    assert_eq!(output.stdout, format!("hello from n{number}\n").as_bytes());
                }
            });
        }
        loops.join_all().await;
        began.elapsed()
    })
}
