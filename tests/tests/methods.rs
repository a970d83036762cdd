//! Every method that the server has, as the descriptors list them: closed to callers without a
//! token, but for one; and built, but for those that are known not to be.

use std::collections::BTreeSet;

use action_tests::{Api, Site};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;

/// The only method that is open to everybody.
const OPEN: &str = "/grpc.health.v1.Health/Check";

/// In the contract, and not built yet.
const NOT_BUILT: [&str; 0] = [];

/// Every method of a descriptor set.
fn methods_of(descriptors: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(descriptors).unwrap();
    let mut methods = Vec::new();
    for file in set.file {
        for service in &file.service {
            let names = service.method.iter().map(|method| method.name());
            let service = format!("/{}.{}", file.package(), service.name());
            methods.extend(names.map(|name| format!("{service}/{name}")));
        }
    }
    methods
}

fn action_methods() -> Vec<String> {
    methods_of(action_proto::v1::FILE_DESCRIPTOR_SET)
}

pub(crate) fn all_methods() -> Vec<String> {
    let mut methods = action_methods();
    methods.extend(methods_of(tonic_health::pb::FILE_DESCRIPTOR_SET));
    methods.extend(methods_of(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET));
    methods.extend(methods_of(
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ));
    methods
}

#[test]
fn the_walk_goes_over_all_of_them() {
    // A walk over nothing would prove nothing.
    insta::assert_snapshot!(all_methods().join("\n"), @"
    /action.v1.ActionService/ListNodes
    /action.v1.ActionService/ListCommands
    /action.v1.ActionService/PlanRun
    /action.v1.ActionService/RunCommand
    /action.v1.ActionService/WatchRun
    /action.v1.ActionService/ListRuns
    /action.v1.ActionService/GetRun
    /action.v1.ActionService/CancelRun
    /grpc.health.v1.Health/Check
    /grpc.health.v1.Health/Watch
    /grpc.reflection.v1.ServerReflection/ServerReflectionInfo
    /grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo
    ");
}

#[test]
fn none_but_the_health_check_is_open_to_callers_without_a_token() {
    let server = Site::new().start();
    let api = server.api_with(None);
    for method in all_methods() {
        let answer = api.raw(&method, b"");
        if method == OPEN {
            // SERVING
            assert_eq!(answer.unwrap(), [&b"\x08\x01"[..]]);
        } else {
            let status = answer.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{method}");
            assert_eq!(status.message(), "a valid token is needed", "{method}");
        }
    }
}

#[test]
fn what_is_not_there_looks_to_strangers_like_what_is() {
    let server = Site::new().start();
    let api = server.api_with(None);
    for method in [
        "/action.v1.ActionService/NoSuchMethod",
        "/action.v2.ActionService/ListNodes",
        "/",
        "/metrics",
        "/grpc.health.v1.Health/Check/",
        "/grpc.health.v1.Health/check",
        "//grpc.health.v1.Health/Check",
    ] {
        let status = api.raw(method, b"").unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{method}");
    }
}

#[test]
fn methods_that_are_not_built_say_so_and_no_others() {
    let server = Site::new().start();
    let api = server.api();
    let not_built = |api: &Api, method: &String| {
        let answer = api.raw(method, b"");
        answer.is_err_and(|status| status.code() == Code::Unimplemented)
    };
    let found: BTreeSet<_> = action_methods()
        .into_iter()
        .filter(|method| not_built(&api, method))
        .collect();
    let expected = NOT_BUILT.map(|name| format!("/action.v1.ActionService/{name}"));
    assert_eq!(found, BTreeSet::from(expected));
}

#[test]
fn messages_that_are_no_messages_harm_nobody() {
    let server = Site::new().start();
    let api = server.api();
    for method in action_methods() {
        for message in [
            &b"\xff\xff\xff\xff"[..],
            b"\x0a\xff\xff\xff\xff\x0f",
            b"\x0a\x02\xff\xfe",
        ] {
            let status = api.raw(&method, message).unwrap_err();
            assert_ne!(status.code(), Code::Unknown, "{method}: {status:?}");
        }
    }
    let status = api.raw("/action.v1.ActionService/RunCommand", &vec![0; 1 << 20]);
    assert!(status.is_err(), "a megabyte is no request");
    assert_eq!(api.node_names(), ["n1"]);
}

/// ServerReflectionRequest{list_services: ""}, of both versions.
pub(crate) const LIST_SERVICES: &[u8] = b"\x3a\x00";

#[test]
fn reflection_lists_the_services_to_callers_with_a_token() {
    let server = Site::new().start();
    for version in ["v1", "v1alpha"] {
        let method = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answer = server.api().raw(&method, LIST_SERVICES).unwrap();
        let answer = String::from_utf8_lossy(&answer[0]).into_owned();
        for service in ["action.v1.ActionService", "grpc.health.v1.Health"] {
            assert!(answer.contains(service), "{version}: {answer}");
        }
    }
}
