//! Messages as bytes, for calls of any method, and requests that are no calls.

use std::future::poll_fn;

use bytes::{Buf, BufMut, Bytes};
use futures_util::StreamExt as _;
use tonic::{
    Status, Streaming,
    body::Body,
    client::GrpcService,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::{Api, within};

impl Api {
    /// Sends any HTTP request with these headers: the head of the answer.
    #[track_caller]
    pub fn http(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> http::Response<()> {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // The library has a body of text, which short messages are.
        let body = Body::new(str::from_utf8(body).unwrap().to_owned());
        let mut request = request.body(body).unwrap();
        request.headers_mut().extend(self.headers.clone());
        let mut channel = self.channel.clone();
        within(path, async {
            poll_fn(|context| GrpcService::<Body>::poll_ready(&mut channel, context))
                .await
                .unwrap();
            let answer = GrpcService::call(&mut channel, request).await.unwrap();
            answer.map(drop)
        })
    }
}

impl Api {
    /// Calls a method with one message as bytes, after which the caller may say more: its answer, to
    /// be read as it comes.
    #[track_caller]
    pub fn open(&self, path: &str, message: &[u8], says_more: bool) -> Result<OpenCall, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        let first = futures_util::stream::iter([Bytes::copy_from_slice(message)]);
        let more = futures_util::stream::pending().take(usize::from(says_more));
        let request = self.request(first.chain(more));
        let path = http::uri::PathAndQuery::try_from(path).unwrap();
        within("the call", async {
            grpc.ready().await.unwrap();
            let answer = grpc.streaming(request, path, Raw).await?;
            Ok(OpenCall(answer.into_inner()))
        })
    }
}

/// A call whose answer is read as it comes.
#[derive(Debug)]
pub struct OpenCall(Streaming<Bytes>);

impl OpenCall {
    /// The next message; `None` at the end.
    #[track_caller]
    pub fn read(&mut self) -> Result<Option<Bytes>, Status> {
        within("the next message", self.0.message())
    }
}

/// Messages as bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
