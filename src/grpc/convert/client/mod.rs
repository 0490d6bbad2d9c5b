//! ClientService's messages.

mod authentication;
mod claim_condition;
mod fields;
mod names;
mod offline;
mod permissions;
mod request;
mod settings;
mod update;

pub(crate) use fields::CLIENT_FIELDS;
use fields::ClientField;
pub(crate) use offline::{read_client, shown_client};
pub(in crate::grpc) use request::{client_id, optional_client_id, overlap};
pub(in crate::grpc) use settings::{client_message, client_settings};
pub(in crate::grpc) use update::{client_update, version};
