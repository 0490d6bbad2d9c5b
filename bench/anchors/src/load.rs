//! A load generator for many different messages, which h2load cannot send.

use std::{
    cell::Cell,
    fs,
    io::{Read as _, Write as _},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use tokio::{net::TcpStream, task::LocalSet};

const CONNECTIONS: usize = 16;
const STREAMS: usize = 32;

/// The method to call, with address and credential.
pub(crate) struct Load<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'a str,
    pub(crate) authorization: &'a str,
}

impl Load<'_> {
    /// Sends each message of standard input once, and then random ones for `duration`. Prints the calls per second, and the
    /// processor time of `process` per call in microseconds.
    pub(crate) async fn run(&self, duration: Duration, process: u32) -> crate::Result<()> {
        let mut input = Vec::new();
        std::io::stdin().read_to_end(&mut input)?;
        let frames = Rc::new(frames(input.into())?);
        let (next, all) = (Cell::new(0), Rc::clone(&frames));
        self.send(move || {
            next.set(next.get() + 1);
            all.get(next.get() - 1).cloned()
        })
        .await?;
        let (cpu, begun) = (processor_time(process)?, Instant::now());
        let state = Cell::new(1_u64);
        let count = self
            .send(move || {
                // Knuth's MMIX generator: only the choice of messages depends on it.
                state.set(state.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
                let index = usize::try_from(state.get() >> 33).unwrap_or_default() % frames.len();
                (begun.elapsed() < duration).then(|| frames[index].clone())
            })
            .await?
            .len();
        let (cpu, elapsed) = (processor_time(process)? - cpu, begun.elapsed().as_secs_f64());
        println!("{:.0} {:.2}", count as f64 / elapsed, cpu * 1e6 / count as f64);
        Ok(())
    }

    /// Sends messages until `next` returns none. Returns the result of the calls.
    async fn send(&self, next: impl Fn() -> Option<Bytes> + 'static) -> crate::Result<Vec<Bytes>> {
        let next = Rc::new(next);
        let uri = format!("http://{}{}", self.address, self.path);
        LocalSet::new()
            .run_until(async move {
                let mut workers = Vec::new();
                for _ in 0..CONNECTIONS {
                    let socket = TcpStream::connect(self.address).await?;
                    socket.set_nodelay(true)?;
                    let (sender, connection) = h2::client::handshake(socket).await?;
                    tokio::task::spawn_local(connection);
                    for _ in 0..STREAMS {
                        let request = Request::post(&uri)
                            .header("content-type", "application/grpc")
                            .header("te", "trailers")
                            .header("authorization", self.authorization)
                            .body(())?;
                        let (sender, next) = (sender.clone(), Rc::clone(&next));
                        workers.push(tokio::task::spawn_local(async move {
                            let mut replies = Vec::new();
                            while let Some(frame) = next() {
                                replies.push(call(sender.clone(), request.clone(), frame).await?);
                            }
                            Ok::<_, String>(replies)
                        }));
                    }
                }
                let mut replies = Vec::new();
                for worker in workers {
                    replies.extend(worker.await??);
                }
                Ok(replies)
            })
            .await
    }
}

/// Makes one call. A status other than OK is an error, because a failed call must not be measured.
async fn call(sender: SendRequest<Bytes>, request: Request<()>, frame: Bytes) -> Result<Bytes, String> {
    let failed = |error: h2::Error| error.to_string();
    let (response, mut stream) =
        sender.ready().await.map_err(failed)?.send_request(request, false).map_err(failed)?;
    stream.send_data(frame, true).map_err(failed)?;
    let mut body = response.await.map_err(failed)?.into_body();
    let mut reply = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(failed)?;
        body.flow_control().release_capacity(data.len()).map_err(failed)?;
        reply.put(data);
    }
    let trailers = body.trailers().await.map_err(failed)?.unwrap_or_default();
    match trailers.get("grpc-status").map(http::HeaderValue::as_bytes) {
        Some(b"0") => Ok(reply.freeze()),
        _ => Err(format!("the call was refused: {trailers:?}")),
    }
}

/// Requests `count` tokens for the audience `orders` from tokend, and writes a VerifyToken message for each to standard output.
pub(crate) async fn tokens(load: &Load<'_>, count: usize) -> crate::Result<()> {
    let request = frame(&[(1, b"alice"), (2, b"orders"), (3, b"read")])?;
    let left = Cell::new(count);
    let replies = load
        .send(move || {
            left.set(left.get().checked_sub(1)?);
            Some(request.clone())
        })
        .await?;
    let mut out = std::io::stdout().lock();
    for mut reply in replies {
        reply.advance(5);
        let (tag, wire_type) = decode_key(&mut reply)?;
        if (tag, wire_type) != (1, WireType::LengthDelimited) {
            return Err("the first field of the answer is not the token".into());
        }
        let length = usize::try_from(decode_varint(&mut reply)?)?;
        out.write_all(&frame(&[(1, &reply[..length]), (2, b"orders")])?)?;
    }
    Ok(out.flush()?)
}

/// Returns a gRPC message with these texts as its fields.
fn frame(fields: &[(u32, &[u8])]) -> crate::Result<Bytes> {
    let mut message = BytesMut::new();
    for (tag, text) in fields {
        encode_key(*tag, WireType::LengthDelimited, &mut message);
        encode_varint(u64::try_from(text.len())?, &mut message);
        message.put_slice(text);
    }
    let mut frame = BytesMut::from(&[0][..]);
    frame.put_u32(u32::try_from(message.len())?);
    frame.put(message);
    Ok(frame.freeze())
}

/// Splits a sequence of gRPC messages.
fn frames(mut input: Bytes) -> crate::Result<Vec<Bytes>> {
    let mut frames = Vec::new();
    while input.len() >= 5 {
        let length = u32::from_be_bytes([input[1], input[2], input[3], input[4]]);
        frames.push(input.split_to(usize::try_from(length)? + 5));
    }
    if frames.is_empty() { Err("no messages on standard input".into()) } else { Ok(frames) }
}

/// Returns the processor time of a process in seconds.
fn processor_time(process: u32) -> crate::Result<f64> {
    // In ticks of 10 ms, which is what Linux shows programs (proc_pid_stat(5)).
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|ticks| ticks.parse::<f64>().ok()).ok_or("no stat");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
