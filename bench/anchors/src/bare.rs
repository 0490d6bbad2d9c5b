//! An echo server that uses only the h2 crate.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response, header::CONTENT_TYPE};
use tokio::net::TcpListener;

/// Serves every path with the same message.
pub(crate) async fn serve(address: SocketAddr, reply: usize) -> crate::Result<()> {
    let reply = message(reply)?;
    let listener = TcpListener::bind(address).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let reply = reply.clone();
        tokio::spawn(async move {
            let Ok(mut connection) = h2::server::handshake(socket).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(answer(request, respond, reply.clone()));
            }
        });
    }
}

/// Returns a gRPC message with one text of this length in its first field.
fn message(bytes: usize) -> crate::Result<Bytes> {
    let mut field = BytesMut::from(&[0x0a][..]);
    prost::encoding::encode_varint(u64::try_from(bytes)?, &mut field);
    field.put_bytes(b'x', bytes);
    let mut message = BytesMut::from(&[0][..]);
    message.put_u32(u32::try_from(field.len())?);
    message.put(field);
    Ok(message.freeze())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, reply: Bytes) {
    let mut body = request.into_body();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
    }
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let _ = stream.send_data(reply, false);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let _ = stream.send_trailers(trailers);
}
