//! What a server takes while nobody wants anything of it, and that it is back there after abuse.

use crate::{
    api::on,
    server::Server,
    usage::{connections, descriptors, memory},
    wait::{CEILING, wait_until},
};

/// What a server takes while nobody wants anything of it.
#[derive(Debug, Clone, Copy)]
pub struct Base {
    memory: u64,
    descriptors: usize,
}

impl Base {
    /// How much memory may stay with the allocator, in KiB.
    const SLACK: u64 = 12 * 1024;

    /// What the server takes now, once it has answered calls. Its command `hello` says hello.
    #[track_caller]
    pub fn of(server: &Server) -> Base {
        for _ in 0..3 {
            hello(server);
        }
        Base {
            descriptors: settled(server, usize::MAX),
            memory: memory(server.id(), "VmRSS"),
        }
    }

    /// The server lives, the next honest call is served, and memory and descriptors are back
    /// where they were.
    #[track_caller]
    pub fn is_kept(&self, server: &Server) {
        hello(server);
        settled(server, self.descriptors);
        let kept =
            || Some(memory(server.id(), "VmRSS")).filter(|now| *now <= self.memory + Self::SLACK);
        wait_until(&format!("memory to be near {self:?}"), CEILING, kept);
    }
}

#[track_caller]
fn hello(server: &Server) {
    let run = server.api().run(on("hello", "n1"));
    assert_eq!(run.answer_of("n1"), "hello\n", "{}", server.log());
}

/// Waits until no connection is open any more and so few descriptors are: how many there are.
#[track_caller]
fn settled(server: &Server, most: usize) -> usize {
    wait_until("connections to be closed", CEILING, || {
        let open = descriptors(server.id());
        (connections(server.id()) == 0 && open.len() <= most).then_some(open.len())
    })
}
