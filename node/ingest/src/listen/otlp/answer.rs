//! What a request is answered with, in its own encoding.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};

use super::super::http::{self, Fault};
use crate::otlp::Encoding;
use crate::otlp::reply::{self, Code};
use crate::spool::Refusal;

/// A fault's code in `google.rpc.Status`.
fn code(fault: &Fault) -> Code {
    match fault {
        Fault::NotFound(_) => Code::NotFound,
        Fault::Method => Code::Unimplemented,
        Fault::Unauthenticated => Code::Unauthenticated,
        Fault::TimedOut => Code::DeadlineExceeded,
        Fault::Crowded | Fault::Spool(Refusal::Full { .. } | Refusal::Busy { .. }) => Code::ResourceExhausted,
        Fault::Spool(Refusal::Failed(_) | Refusal::Closing) | Fault::Unread(_) => Code::Unavailable,
        Fault::ContentType(_)
        | Fault::ContentEncoding(_)
        | Fault::TooLarge(_)
        | Fault::UnpacksTooLarge(_)
        | Fault::CutShort
        | Fault::Broken(_)
        | Fault::Spool(Refusal::TooLarge { .. }) => Code::InvalidArgument,
    }
}

/// The response, in the encoding of the request; JSON where that is not known.
pub(super) fn response(encoding: Option<Encoding>, outcome: Result<(), Fault>) -> Response<Full<Bytes>> {
    let encoding = encoding.unwrap_or(Encoding::Json);
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    match outcome {
        Ok(()) => http::response(StatusCode::OK, content_type, Bytes::from_static(reply::accepted(encoding))),
        Err(fault) => fault.response(content_type, reply::refused(encoding, code(&fault), fault.to_string())),
    }
}
