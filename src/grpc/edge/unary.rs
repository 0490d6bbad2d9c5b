//! The bodies of unary calls that bypass tonic's router and codec (gRPC over HTTP/2, "Requests" and "Responses").

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tonic::{Status, body::Body};

use crate::{
    grpc::{framing::PREFIX_LENGTH, status::CallError},
    model::NoRoom,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the message of a unary request.
pub(super) async fn read<B>(body: &mut B, max_bytes: usize) -> Result<Bytes, CallError>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut first = Bytes::new();
    let mut more = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| body_error(&error.into()))?;
        let Ok(data) = frame.into_data() else {
            return Err(CallError::Undecodable(
                "the request has trailers, which gRPC does not allow".to_owned(),
            ));
        };
        // Most requests arrive in one frame, which is not copied.
        if first.is_empty() {
            first = data;
        } else {
            if more.is_empty() {
                // The length is checked, and the body has already reserved it from the memory of requests.
                more.reserve(check_length(&first, max_bytes)?.map_or(0, |length| PREFIX_LENGTH + length));
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
        check_length(if more.is_empty() { &first } else { &more }, max_bytes)?;
    }
    let bytes = if more.is_empty() { first } else { more.freeze() };
    let length = check_length(&bytes, max_bytes)?;
    if length.is_none_or(|length| bytes.len() < PREFIX_LENGTH + length) {
        return Err(CallError::Undecodable("the request ends before its message is complete".to_owned()));
    }
    Ok(bytes.slice(PREFIX_LENGTH..))
}

/// Checks the received part of a message: it must not be compressed, too long, or followed by more bytes. Returns its length, once that
/// is known.
fn check_length(bytes: &[u8], max_bytes: usize) -> Result<Option<usize>, CallError> {
    let Some((prefix, message)) = bytes.split_first_chunk::<PREFIX_LENGTH>() else { return Ok(None) };
    let [compressed, length @ ..] = *prefix;
    match compressed {
        0 => {}
        1 => return Err(CallError::Compressed),
        _ => return Err(CallError::Undecodable("the message's first byte is neither 0 nor 1".to_owned())),
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > max_bytes {
        return Err(CallError::RequestTooLarge);
    }
    if message.len() > length {
        let problem = "there is more than the one message that the method takes";
        return Err(CallError::Undecodable(problem.to_owned()));
    }
    Ok(Some(length))
}

fn body_error(error: &BoxError) -> CallError {
    match error.downcast_ref::<NoRoom>() {
        Some(no_room) => CallError::from(*no_room),
        None => CallError::Undecodable(error.to_string()),
    }
}

/// The response with this framed message.
pub(super) fn response(message: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Unary(Unary::Message(message)));
    response.headers_mut().insert(CONTENT_TYPE, const { HeaderValue::from_static("application/grpc") });
    response
}

/// The body of a response.
pub enum ResponseBody {
    /// A message, and the trailers of success.
    Unary(Unary),
    /// Any other body.
    Tonic(Body),
}

/// The unsent part of a unary response.
pub enum Unary {
    /// The message and the trailers.
    Message(Bytes),
    /// The trailers.
    Trailers,
    /// Nothing.
    End,
}

/// Never the message: it may hold a token.
impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl fmt::Debug for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unary").finish_non_exhaustive()
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Tonic(body) => Pin::new(body).poll_frame(context),
            Self::Unary(unsent) => Poll::Ready(match std::mem::replace(unsent, Unary::End) {
                Unary::Message(message) => {
                    *unsent = Unary::Trailers;
                    Some(Ok(Frame::data(message)))
                }
                Unary::Trailers => {
                    let mut trailers = HeaderMap::with_capacity(1);
                    trailers.insert(Status::GRPC_STATUS, const { HeaderValue::from_static("0") });
                    Some(Ok(Frame::trailers(trailers)))
                }
                Unary::End => None,
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Tonic(body) => body.is_end_stream(),
            Self::Unary(unsent) => matches!(unsent, Unary::End),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Tonic(body) => body.size_hint(),
            Self::Unary(Unary::Message(message)) => {
                SizeHint::with_exact(u64::try_from(message.len()).unwrap_or(u64::MAX))
            }
            Self::Unary(_) => SizeHint::with_exact(0),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::{collections::VecDeque, convert::Infallible};

    use super::*;
    use crate::grpc::framing::encode;

    /// A body that arrives in these frames.
    struct Frames(VecDeque<Frame<Bytes>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }

    fn read_frames(pieces: impl IntoIterator<Item = Vec<u8>>) -> Result<Bytes, CallError> {
        let mut body = Frames(pieces.into_iter().map(|piece| Frame::data(piece.into())).collect());
        poll_ready(read(&mut body, 10))
    }

    /// Polls a future that is ready.
    fn poll_ready<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let polled = future.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        let ready = if let Poll::Ready(value) = polled { Some(value) } else { None };
        ready.unwrap()
    }

    #[test]
    fn a_message_is_read_from_frames_of_any_size() {
        let message = [&[0, 0, 0, 0, 4][..], b"abcd"].concat();
        for size in 1..=message.len() {
            let read = read_frames(message.chunks(size).map(<[u8]>::to_vec)).unwrap();
            assert_eq!(read, "abcd", "{size}");
        }
        assert_eq!(read_frames([vec![0; 5]]).unwrap(), "");
    }

    #[test]
    fn anything_but_one_uncompressed_message_is_rejected() {
        for (bytes, refused) in [
            (&[][..], "the request ends"),
            (&[0, 0, 0, 0], "the request ends"),
            (&[0, 0, 0, 0, 1], "the request ends"),
            (&[1, 0, 0, 0, 0], "the request is compressed"),
            (&[2, 0, 0, 0, 0], "the message's first byte"),
            (&[0, 0, 0, 0, 11], "the request is larger"),
            (&[0, 255, 255, 255, 255], "the request is larger"),
            (&[0, 0, 0, 0, 0, 0], "there is more than the one message"),
            (&[0; 10], "there is more than the one message"),
        ] {
            for size in 1..=bytes.len().max(1) {
                let error = read_frames(bytes.chunks(size).map(<[u8]>::to_vec)).unwrap_err();
                assert!(error.to_string().contains(refused), "{bytes:?} by {size}: {error}");
            }
        }
        let mut body = Frames([Frame::data(vec![0; 5].into()), Frame::trailers(HeaderMap::new())].into());
        assert!(poll_ready(read(&mut body, 10)).unwrap_err().to_string().contains("has trailers"));
    }

    #[test]
    fn a_response_is_its_message_and_status_zero() {
        let mut body = response(encode(&"ab".to_owned())).into_body();
        assert!(
            !format!("{body:?} {:?}", Unary::Message("ab".into())).contains("ab"),
            "a response is never printed"
        );
        assert_eq!(body.size_hint().exact(), Some(9));
        let data = poll_ready(body.frame()).unwrap().unwrap().into_data().unwrap();
        assert_eq!(&data[..], [0, 0, 0, 0, 4, 10, 2, b'a', b'b']);
        assert!(!body.is_end_stream());
        let trailers = poll_ready(body.frame()).unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers.get("grpc-status").unwrap(), "0");
        assert!(body.is_end_stream() && poll_ready(body.frame()).is_none());
    }
}
