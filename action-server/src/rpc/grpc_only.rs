//! Rejects every request that is not gRPC, before its body is decoded.
//!
//! tonic decodes the body of any request, with any method and content type: a caller that speaks
//! another protocol (gRPC-Web, Connect, plain HTTP) would start a run, could not read the answer, and
//! would try again.

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, Limited};
use tonic::body::Body;

use super::{status, whole_request::WholeRequest};

/// The media type of gRPC: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
const MEDIA_TYPE: &[u8] = b"application/grpc";

/// How much of a rejected request is read, in bytes.
const DRAIN_LIMIT: usize = 64 * 1024;

/// The request, if it is gRPC; else its answer, with HTTP status 405 or 415.
pub(super) async fn check_request(request: Request<Body>) -> Result<Request<Body>, Response<Body>> {
    match check_headers(request.method(), request.headers()) {
        Ok(()) => Ok(request.map(|body| Body::new(WholeRequest(body)))),
        Err(code) => {
            // An answer to a request that goes on is followed by a reset of the stream, with which curl
            // drops the answer.
            _ = Limited::new(request.into_body(), DRAIN_LIMIT)
                .collect()
                .await;
            Err(rejection(code))
        }
    }
}

/// Whether a request is gRPC, by its method and headers; else the status of its answer.
fn check_headers(method: &Method, headers: &HeaderMap) -> Result<(), StatusCode> {
    if method != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(media_type), None) if is_grpc(media_type.as_bytes()) => Ok(()),
        _ => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE),
    }
}

/// Whether a content type is `application/grpc`, alone or with a message format (`+proto`) or
/// parameters (`;..`). With a comma it is two headers that a proxy joined.
fn is_grpc(media_type: &[u8]) -> bool {
    let Some((start, rest)) = media_type.split_at_checked(MEDIA_TYPE.len()) else {
        return false;
    };
    start.eq_ignore_ascii_case(MEDIA_TYPE)
        && matches!(rest.first(), None | Some(b'+' | b';'))
        && !rest.contains(&b',')
}

fn rejection(code: StatusCode) -> Response<Body> {
    let text = match code {
        StatusCode::METHOD_NOT_ALLOWED => "this is a gRPC server: it takes POST only\n",
        _ => "this is a gRPC server: the content-type must be application/grpc\n",
    };
    let mut response = Response::new(Body::new(text.to_owned()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    if code == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    // Clients of RunCommand know from it that nothing was started.
    let name = HeaderName::from_static(status::RUN_ID);
    headers.insert(name, HeaderValue::from_static("none"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(method: &str, types: &[&[u8]]) -> Result<(), u16> {
        let mut headers = HeaderMap::new();
        for media_type in types {
            headers.append(CONTENT_TYPE, HeaderValue::from_bytes(media_type).unwrap());
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        check_headers(&method, &headers).map_err(|code| code.as_u16())
    }

    #[test]
    fn grpc_passes_with_any_message_format() {
        for good in [
            "application/grpc",
            "Application/GRPC",
            "application/grpc+proto",
            "application/grpc+json",
            "application/grpc;charset=utf-8",
            "application/grpc; charset=utf-8",
        ] {
            assert_eq!(code("POST", &[good.as_bytes()]), Ok(()), "{good}");
        }
    }

    #[test]
    fn other_media_types_get_415() {
        for bad in [
            "",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpcx",
            "application/grpc ",
            " application/grpc",
            "application/grpc, application/grpc",
            "application/grpc+proto, application/json",
            "application/grp",
            "application/json",
            "application/proto",
            "application/connect+proto",
            "text/plain",
            "text/application/grpc",
        ] {
            assert_eq!(code("POST", &[bad.as_bytes()]), Err(415), "{bad}");
        }
        assert_eq!(code("POST", &[]), Err(415));
        let good = &b"application/grpc"[..];
        assert_eq!(code("POST", &[good, good]), Err(415));
        assert_eq!(code("POST", &[good, b"text/plain"]), Err(415));
        assert_eq!(code("POST", &[b"text/plain", good]), Err(415));
        assert_eq!(code("POST", &[b"application/grpc\xff"]), Err(415));
    }

    #[test]
    fn other_methods_get_405() {
        for method in ["GET", "HEAD", "PUT", "OPTIONS", "CONNECT", "post", "X"] {
            assert_eq!(code(method, &[b"application/grpc"]), Err(405), "{method}");
            assert_eq!(code(method, &[]), Err(405), "{method}");
        }
        let answer = rejection(StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[ALLOW], "POST");
        assert_eq!(answer.headers()[status::RUN_ID], "none");
    }
}
