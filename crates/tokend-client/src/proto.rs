//! The generated code, and the only file with any.

#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::missing_const_for_fn,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    clippy::semicolon_if_nothing_returned,
    reason = "generated from the .proto files, where the documentation is"
)]

tonic::include_proto!("tokend.v1");
