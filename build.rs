//! Compiles the `.proto` files without `protoc`: protox makes the descriptor set, tonic-prost-build
//! the code. The descriptor set is written for reflection too.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

const FILES: [&str; 8] = [
    "tokend/v1/error_reason.proto",
    "tokend/v1/token_service.proto",
    "tokend/v1/client_service.proto",
    "tokend/v1/user_service.proto",
    "tokend/v1/session_service.proto",
    "tokend/v1/key_service.proto",
    "tokend/v1/trust_bundle_service.proto",
    "google/rpc/error_details.proto",
];

/// Messages that carry a token or a secret get no `Debug`, so that none can be printed by accident.
const SECRETIVE: [&str; 22] = [
    ".tokend.v1.IssueTokenResponse",
    ".tokend.v1.VerifyTokenRequest",
    ".tokend.v1.BatchVerifyTokensRequest",
    ".tokend.v1.VerifyTokenResponse",
    ".tokend.v1.BatchVerifyTokensResult",
    ".tokend.v1.StreamVerifyTokensRequest",
    ".tokend.v1.StreamVerifyTokensResponse",
    ".tokend.v1.BatchVerifyTokensResponse",
    ".tokend.v1.CreateClientResponse",
    ".tokend.v1.RotateClientSecretResponse",
    ".tokend.v1.ImportKeyRequest",
    ".tokend.v1.LoginRequest",
    ".tokend.v1.LoginResponse",
    ".tokend.v1.RefreshTokenRequest",
    ".tokend.v1.RefreshTokenResponse",
    ".tokend.v1.RevokeTokenRequest",
    ".tokend.v1.IntrospectTokenRequest",
    ".tokend.v1.IntrospectTokenResponse",
    ".tokend.v1.ExchangeTokenRequest",
    ".tokend.v1.ExchangeTokenResponse",
    ".tokend.v1.CreateUserRequest",
    ".tokend.v1.SetUserPasswordRequest",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::proto::Codec")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .skip_debug(SECRETIVE)
        .compile_fds(descriptors)?;
    Ok(())
}
