//! The generated code, and the only file with any.

mod codec;
mod json;

pub use codec::Codec;
pub(crate) use json::duration;

/// Package `tokend.v1`.
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::missing_const_for_fn,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    reason = "generated from the .proto files, where the documentation is"
)]
pub mod v1 {
    tonic::include_proto!("tokend.v1");
}

/// The descriptors of `tokend.v1` and of the `google.rpc` error details, encoded, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
