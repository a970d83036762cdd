//! The peer of a connection, for gRPC's methods.

use tonic::transport::server::Connected;

use crate::net::{Connection, Peer};

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer().clone()
    }
}
