//! Many calls with bad tokens: answered late and told in few lines, while honest callers are
//! served as ever.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use action_tests::{Api, Site, on};

/// Bad tokens in all, on so many connections of one address.
const CALLS: usize = 10_000;
const CONNECTIONS: usize = 50;
const AT_ONCE: usize = 100;

/// How long the answer to one who has sent many is put off.
const PENALTY: Duration = Duration::from_secs(1);

/// How long an honest call takes.
#[track_caller]
fn time_of_a_call(api: &Api) -> Duration {
    let start = Instant::now();
    assert_eq!(api.node_names(), ["n1"]);
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn who_sends_many_bad_tokens_waits_and_nobody_else_does() {
    let site = Site::new();
    site.command("hello", "echo hello");
    let server = site.start();
    let address = server.address();
    let flooding = AtomicBool::new(true);
    let elsewhere = IpAddr::from(Ipv4Addr::new(127, 0, 0, 2));
    let honest = |own| Api::connect_from(own, address, Some(&server.token()));
    let callers = [honest(Some(elsewhere)), honest(None)];
    // At once: a connection without a valid token is closed after 10 s, which a flood may take to begin.
    for api in &callers {
        time_of_a_call(api);
    }
    let floods: Vec<_> = (0..CONNECTIONS)
        .map(|_| server.api_with(Some("bad.bad.bad")))
        .collect();
    let (late, served) = thread::scope(|scope| {
        let flood = |api: &Api| {
            let rounds = 0..CALLS / CONNECTIONS / AT_ONCE;
            rounds
                .flat_map(|_| api.list_nodes_at_once(AT_ONCE))
                .collect::<Vec<_>>()
        };
        let floods: Vec<_> = floods
            .iter()
            .map(|api| scope.spawn(move || flood(api)))
            .collect();
        let flooding = &flooding;
        let callers: Vec<_> = callers
            .iter()
            .map(|api| {
                scope.spawn(move || {
                    let mut times = Vec::new();
                    while flooding.load(Ordering::Acquire) {
                        times.push(time_of_a_call(api));
                    }
                    times
                })
            })
            .collect();
        let late: Vec<_> = floods
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect();
        flooding.store(false, Ordering::Release);
        let served: Vec<_> = callers.into_iter().map(|it| it.join().unwrap()).collect();
        (late, served)
    });
    assert_eq!(late.len(), CALLS);
    let late = median(late);
    assert!(late >= PENALTY, "the median of the flood is {late:?}");
    // On a busy machine a call may take long without any penalty, but then not each of them does.
    // The addresses are remembered for a minute.
    for (api, times) in callers.iter().zip(served) {
        let after = (0..20).map(|_| time_of_a_call(api));
        let fastest = times.into_iter().chain(after).min().unwrap();
        assert!(fastest < PENALTY / 2, "an honest call took {fastest:?}");
    }
    let ended = server.api().run(on("hello", "n1"));
    assert_eq!(ended.answer_of("n1"), "hello\n");
    let lines = server.audit();
    let refused = lines.iter().filter(|line| line["event"] == "token_refused");
    assert_eq!(refused.count(), 5, "the rest is summed up");
}
