//! Reflection, as grpcurl uses it: v1 and v1alpha, with the types of error details.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::FileDescriptorProto;
use tokio_stream::{StreamExt as _, once};
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::TestServer;

/// Asks one question of one version of the service, and answers the names or descriptors that came.
macro_rules! ask {
    ($version:ident, $server:expr, $question:expr) => {{
        use $version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let question: fn() -> MessageRequest = $question;
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question()) };
        let mut client = ServerReflectionClient::new($server.root.channel.clone());
        let mut answers = client.server_reflection_info(once(request)).await.unwrap().into_inner();
        match answers.next().await.unwrap().unwrap().message_response.unwrap() {
            MessageResponse::ListServicesResponse(list) => {
                list.service.into_iter().map(|service| service.name).collect::<BTreeSet<String>>()
            }
            MessageResponse::FileDescriptorResponse(files) => files
                .file_descriptor_proto
                .iter()
                .map(|file| FileDescriptorProto::decode(file.as_slice()).unwrap())
                .flat_map(|file| file.message_type.into_iter().map(|message| message.name().to_owned()))
                .collect(),
            other => panic!("{other:?}"),
        }
    }};
}

#[tokio::test]
async fn both_versions_list_every_service() {
    let server = TestServer::start().await;
    let expected: BTreeSet<String> = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "tokend.v1.ClientService",
        "tokend.v1.KeyService",
        "tokend.v1.SessionService",
        "tokend.v1.StatusService",
        "tokend.v1.TokenService",
        "tokend.v1.TrustBundleService",
        "tokend.v1.UserService",
    ]
    .map(str::to_owned)
    .into();
    assert_eq!(ask!(v1, server, || MessageRequest::ListServices(String::new())), expected);
    assert_eq!(ask!(v1alpha, server, || MessageRequest::ListServices(String::new())), expected);
}

#[tokio::test]
async fn services_and_error_details_can_be_described() {
    let server = TestServer::start().await;
    let symbols =
        ask!(v1, server, || MessageRequest::FileContainingSymbol("tokend.v1.TokenService".to_owned()));
    assert!(symbols.contains("IssueTokenRequest"), "{symbols:?}");
    for symbols in [
        ask!(v1, server, || MessageRequest::FileContainingSymbol("google.rpc.ErrorInfo".to_owned())),
        ask!(v1alpha, server, || MessageRequest::FileContainingSymbol("google.rpc.BadRequest".to_owned())),
    ] {
        assert!(symbols.contains("ErrorInfo") && symbols.contains("BadRequest"), "{symbols:?}");
    }
    let status = ask!(v1, server, || MessageRequest::FileContainingSymbol("google.rpc.Status".to_owned()));
    assert!(status.contains("Status"), "{status:?}");
}

#[test]
fn generated_code_has_a_package_of_its_own_in_each_language_that_wants_one() {
    let set = prost_types::FileDescriptorSet::decode(tokend::proto::FILE_DESCRIPTOR_SET).unwrap();
    let own: Vec<_> = set.file.iter().filter(|file| file.package() == "tokend.v1").collect();
    assert!(own.len() >= 7, "{}", own.len());
    for file in own {
        let options = file.options.as_ref().unwrap_or_else(|| panic!("{} has no options", file.name()));
        assert_eq!(options.go_package(), "tokend/v1;tokendv1", "{}", file.name());
        assert!(!options.java_package().is_empty() && options.java_multiple_files(), "{}", file.name());
        assert!(!options.csharp_namespace().is_empty(), "{}", file.name());
    }
}
