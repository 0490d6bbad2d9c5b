//! Servers with which `bench/compare` compares tokend, and a load generator.
//!
//! ```text
//! anchors tonic ADDRESS REPLY_BYTES    a stock tonic server: an echo, and a service on jsonwebtoken's encode and decode
//! anchors h2 ADDRESS REPLY_BYTES       an echo that uses only h2: the lower limit of every gRPC server on it
//! anchors signature SECONDS            microseconds of one ES256 signature and of one verification
//! anchors load ADDRESS PATH SECONDS PROCESS AUTHORIZATION < FRAMES    sends random messages
//! anchors tokens ADDRESS COUNT AUTHORIZATION > FRAMES    requests tokens from tokend; writes a VerifyToken message for each
//! ```

mod bare;
mod load;
mod signature;
mod stock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["tonic", address, reply] => stock::serve(address.parse()?, reply.parse()?).await,
        ["h2", address, reply] => bare::serve(address.parse()?, reply.parse()?).await,
        ["signature", seconds] => signature::print(std::time::Duration::from_secs_f64(seconds.parse()?)),
        ["load", address, path, seconds, process, authorization] => {
            let load = load::Load { address: address.parse()?, path, authorization };
            load.run(std::time::Duration::from_secs_f64(seconds.parse()?), process.parse()?).await
        }
        ["tokens", address, count, authorization] => {
            let path = "/tokend.v1.TokenService/IssueToken";
            load::tokens(&load::Load { address: address.parse()?, path, authorization }, count.parse()?).await
        }
        _ => Err("usage: see the top of bench/anchors/src/main.rs".into()),
    }
}
