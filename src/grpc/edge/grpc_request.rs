//! Rejection of HTTP requests that are not gRPC calls (gRPC over HTTP/2, "Requests").

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use http_body_util::Full;
use tonic::body::Body;

const EXPLANATION: &str = "gRPC calls are POST requests with the content type application/grpc\n";

/// Returns the response to a request that is not a gRPC call: 405 or 415, which gRPC clients report as UNKNOWN.
pub(super) fn reject<B>(request: &Request<B>) -> Option<Response<Body>> {
    let status = if request.method() != Method::POST {
        StatusCode::METHOD_NOT_ALLOWED
    } else if !has_grpc_content_type(request.headers()) {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    } else {
        return None;
    };
    let text = if request.method() == Method::HEAD { "" } else { EXPLANATION };
    let mut response = Response::new(Body::new(Full::new(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("text/plain; charset=utf-8") });
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, const { HeaderValue::from_static("POST") });
    }
    Some(response)
}

/// Whether there is exactly one content type, and it is that of gRPC.
fn has_grpc_content_type(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    values.next().is_some_and(is_grpc) && values.next().is_none()
}

/// Whether a content type is `application/grpc` or `application/grpc+proto`, with or without parameters. tokend has no other codec, and
/// `application/grpc-web` is another protocol.
fn is_grpc(value: &HeaderValue) -> bool {
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    essence.eq_ignore_ascii_case(b"application/grpc")
        || essence.eq_ignore_ascii_case(b"application/grpc+proto")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_content_types_of_grpc_with_protobuf_are_calls() {
        let is_grpc = |text: &'static str| is_grpc(&HeaderValue::from_static(text));
        for text in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC",
            "application/grpc;charset=utf-8",
            "application/grpc ; x=y",
        ] {
            assert!(is_grpc(text), "{text}");
        }
        for text in [
            "",
            "application/grpcx",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc+json",
            "application/grpc, application/grpc",
            " application/grpc",
            "application/json",
            "text/plain;application/grpc",
        ] {
            assert!(!is_grpc(text), "{text}");
        }
    }
}
