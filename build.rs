//! Compiles the `.proto` files without `protoc`: protox makes the descriptor set, tonic-prost-build
//! the code. The descriptor set is written for reflection too.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use prost_types::{
    FieldDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

const FILES: [&str; 9] = [
    "tokend/v1/error_reason.proto",
    "tokend/v1/token_service.proto",
    "tokend/v1/client_service.proto",
    "tokend/v1/user_service.proto",
    "tokend/v1/session_service.proto",
    "tokend/v1/key_service.proto",
    "tokend/v1/status_service.proto",
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

/// Messages that the command line writes as JSON.
const JSON_WRITTEN: [&str; 11] = [
    "GetStatusResponse",
    "StatusProblem",
    "Replica",
    "Key",
    "TrustedKey",
    "Session",
    "User",
    "IssueTokenResponse",
    "LoginResponse",
    "RefreshTokenResponse",
    "ExchangeTokenResponse",
];

/// Messages that the command line writes as JSON, and reads from flags and TOML files.
const JSON_READ: [&str; 10] = [
    "Client",
    "ClientSecret",
    "Authentication",
    "CertificateNames",
    "AssertionKeys",
    "UnixIds",
    "WorkloadIdentity",
    "ClaimCondition",
    "Permissions",
    "ClientLimits",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    let mut code = tonic_prost_build::configure()
        .codec_path("crate::proto::Codec")
        .extern_path(".google.rpc", "::tonic_types::pb")
        .skip_debug(SECRETIVE);
    for message in JSON_READ {
        let attribute = "#[derive(serde::Serialize, serde::Deserialize)] #[serde(default)]";
        code = code.type_attribute(format!(".tokend.v1.{message}"), attribute);
    }
    for message in JSON_WRITTEN {
        code = code.type_attribute(format!(".tokend.v1.{message}"), "#[derive(serde::Serialize)]");
    }
    for message in descriptors.file.iter().flat_map(|file| &file.message_type) {
        let name = message.name();
        for field in
            message.field.iter().filter(|_| JSON_READ.contains(&name) || JSON_WRITTEN.contains(&name))
        {
            if let Some(attribute) = json_attribute(field) {
                code = code.field_attribute(format!(".tokend.v1.{name}.{}", field.name()), attribute);
            }
        }
    }
    code.compile_fds(descriptors)?;
    Ok(())
}

/// How `src/proto/json.rs` writes and reads a field that serde alone cannot.
fn json_attribute(field: &FieldDescriptorProto) -> Option<&'static str> {
    Some(match (field.name(), field.type_name()) {
        ("expires_in", _) => r#"#[serde(serialize_with = "crate::proto::json::seconds")]"#,
        ("claims_json", _) => r#"#[serde(rename = "claims", serialize_with = "crate::proto::json::raw")]"#,
        (_, ".google.protobuf.Struct") => "#[serde(skip)]",
        (_, ".google.protobuf.Duration") => r#"#[serde(with = "crate::proto::json::duration")]"#,
        (_, ".google.protobuf.Timestamp") => {
            r#"#[serde(skip_deserializing, serialize_with = "crate::proto::json::timestamp")]"#
        }
        (_, ".tokend.v1.KeyState") => r#"#[serde(serialize_with = "crate::proto::json::key_state")]"#,
        (_, ".tokend.v1.KeyUsage") => r#"#[serde(serialize_with = "crate::proto::json::key_usage")]"#,
        (_, ".tokend.v1.AuthenticationMethod") => {
            r#"#[serde(with = "crate::proto::json::authentication_methods")]"#
        }
        _ if field.r#type() == Type::Message && field.label() != Label::Repeated => {
            r#"#[serde(serialize_with = "crate::proto::json::or_default")]"#
        }
        _ => return None,
    })
}
