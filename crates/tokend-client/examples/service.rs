//! A service that verifies: it lists orders for callers whose token is for `orders` and has the scope `orders.read`.
//!
//!     cargo run -p tokend-client --example service -- http://127.0.0.1:50051 http://127.0.0.1:8080 127.0.0.1:3000

#![expect(clippy::print_stdout, reason = "the example prints its address")]

use std::error::Error;

use axum::{Extension, Router, routing::get};
use tokend_client::{Claims, Verifier, connect};
use tokio::net::TcpListener;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(tokend), Some(issuer), Some(address)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: service TOKEND ISSUER ADDRESS".into());
    };
    let verifier = Verifier::watch(connect(&tokend)?).issuer(issuer).audience("orders").build()?;
    verifier.ready().await;

    let app = Router::new().route("/orders", get(list)).layer(verifier.layer().require_scope("orders.read"));
    let listener = TcpListener::bind(address).await?;
    println!("serving on http://{}", listener.local_addr()?);
    // The same port takes gRPC services: Routes::from(app).add_service(verifier.layer().layer(…)).
    let server = Server::builder().accept_http1(true).add_routes(Routes::from(app));
    server.serve_with_incoming(TcpIncoming::from(listener)).await?;
    Ok(())
}

async fn list(Extension(claims): Extension<Claims>) -> String {
    format!("the orders of {}\n", claims.subject())
}
