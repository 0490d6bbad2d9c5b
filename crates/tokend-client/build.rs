//! Compiles the client stubs without `protoc`: protox makes the descriptor set, tonic-prost-build the code.

use std::error::Error;

const FILES: [&str; 2] = ["tokend/v1/token_service.proto", "tokend/v1/trust_bundle_service.proto"];

/// Messages that carry a token or a secret get no `Debug`, so that none can be printed by accident.
const SECRETIVE: [&str; 16] = [
    ".tokend.v1.IssueTokenResponse",
    ".tokend.v1.VerifyTokenRequest",
    ".tokend.v1.VerifyTokenResponse",
    ".tokend.v1.BatchVerifyTokensRequest",
    ".tokend.v1.BatchVerifyTokensResponse",
    ".tokend.v1.BatchVerifyTokensResult",
    ".tokend.v1.StreamVerifyTokensRequest",
    ".tokend.v1.StreamVerifyTokensResponse",
    ".tokend.v1.LoginRequest",
    ".tokend.v1.LoginResponse",
    ".tokend.v1.RefreshTokenRequest",
    ".tokend.v1.RefreshTokenResponse",
    ".tokend.v1.RevokeTokenRequest",
    ".tokend.v1.IntrospectTokenRequest",
    ".tokend.v1.IntrospectTokenResponse",
    ".tokend.v1.ExchangeTokenRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../../proto");
    let descriptors = protox::compile(FILES, ["../../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types::pb")
        .skip_debug(SECRETIVE.into_iter().chain([".tokend.v1.ExchangeTokenResponse"]))
        .compile_fds(descriptors)?;
    Ok(())
}
