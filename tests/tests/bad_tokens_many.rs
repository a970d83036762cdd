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
                        let start = Instant::now();
                        assert_eq!(api.node_names(), ["n1"]);
                        times.push(start.elapsed());
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
    for (which, times) in ["another address", "the same address"]
        .into_iter()
        .zip(served)
    {
        let (count, honest) = (times.len(), median(times));
        assert!(
            honest * 5 < late,
            "{which}: {count} calls, {honest:?} against {late:?}"
        );
    }
    let ended = server.api().run(on("hello", "n1"));
    assert_eq!(ended.answer_of("n1"), "hello\n");
    let lines = server.audit();
    let refused = lines.iter().filter(|line| line["event"] == "token_refused");
    assert_eq!(refused.count(), 5, "the rest is summed up");
}
