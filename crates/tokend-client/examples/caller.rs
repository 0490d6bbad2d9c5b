//! A service that gets a token and calls: it fetches a URL with a token for `orders` and the scope `orders.read`.
//!
//!     cargo run -p tokend-client --example caller -- http://127.0.0.1:50051 client.secret http://127.0.0.1:3000/orders

#![expect(clippy::print_stdout, reason = "the example prints the response")]

use std::error::Error;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokend_client::{Credential, TokenSource, connect};
use tower::{Layer as _, ServiceExt as _};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(tokend), Some(secret_file), Some(url)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: caller TOKEND SECRET_FILE URL".into());
    };
    let tokens = TokenSource::builder(connect(&tokend)?, Credential::secret_file(secret_file))
        .audience("orders")
        .scope("orders.read")
        .build()?;

    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let orders = tokens.layer().layer(client);
    let response = orders.oneshot(Request::get(url).body(Empty::new())?).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    println!("{}\n{}", head.status, String::from_utf8_lossy(&body));
    Ok(())
}
