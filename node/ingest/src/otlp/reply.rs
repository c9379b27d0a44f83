//! Answers to OTLP requests, in the encoding of the request.

use prost::Message;
use serde::Serialize;

use super::Encoding;

/// `google.rpc.Status`, which says why a request was refused (OTLP specification, "Failures").
#[derive(Clone, PartialEq, Eq, Message, Serialize)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// Codes of `google.rpc.Code` that are said here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    /// The request is wrong, and will be wrong again.
    InvalidArgument = 3,
    /// It took too long.
    DeadlineExceeded = 4,
    /// There is nothing here.
    NotFound = 5,
    /// No room now; it may be sent again.
    ResourceExhausted = 8,
    /// This is not done here.
    Unimplemented = 12,
    /// It cannot be stored now; it may be sent again.
    Unavailable = 14,
    /// Who sends is not known.
    Unauthenticated = 16,
}

/// An `Export*ServiceResponse` without a partial success: everything was taken.
pub const fn accepted(encoding: Encoding) -> &'static [u8] {
    match encoding {
        Encoding::Protobuf => b"",
        Encoding::Json => b"{}",
    }
}

/// Why a request was refused.
pub fn refused(encoding: Encoding, code: Code, message: String) -> Vec<u8> {
    let status = Status { code: code as i32, message };
    match encoding {
        Encoding::Protobuf => status.encode_to_vec(),
        Encoding::Json => serde_json::to_vec(&status).expect("a number and a text are JSON"),
    }
}
