//! What gRPC is told of a connection: who is at its other end.

use tonic::transport::server::Connected;

use crate::net::{Connection, Peer};

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer().clone()
    }
}
