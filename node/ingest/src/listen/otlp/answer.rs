//! What a request is answered with, as a table of its faults.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use crate::otlp::reply::{self, Code};
use crate::otlp::{Encoding, OtlpFault};
use crate::spool::Refusal;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("there is nothing here but /v1/metrics, /v1/logs and /v1/traces")]
    NotFound,
    #[error("requests are sent with POST")]
    Method,
    #[error("this network needs a token: Authorization: Bearer")]
    Unauthenticated,
    #[error("the content type is neither application/x-protobuf nor application/json")]
    ContentType,
    #[error("the content encoding is neither gzip nor identity")]
    ContentEncoding,
    #[error("the request is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the request unpacks to more than {0} bytes")]
    UnpacksTooLarge(usize),
    #[error("the body did not come in time")]
    TimedOut,
    #[error("the body did not come whole")]
    CutShort,
    #[error("{0}")]
    Gzip(String),
    #[error(transparent)]
    Otlp(#[from] OtlpFault),
    #[error("too many requests are on their way")]
    Crowded,
    #[error(transparent)]
    Spool(#[from] Refusal),
    #[error("the request could not be read: {0}")]
    Unread(String),
}

/// A fault's status, its code in `google.rpc.Status`, and a header that goes with it.
type Row = (StatusCode, Code, Option<(HeaderName, &'static str)>);

impl Fault {
    fn row(&self) -> Row {
        use StatusCode as Http;
        match self {
            Self::NotFound => (Http::NOT_FOUND, Code::NotFound, None),
            Self::Method => (Http::METHOD_NOT_ALLOWED, Code::Unimplemented, Some((ALLOW, "POST"))),
            Self::Unauthenticated => {
                (Http::UNAUTHORIZED, Code::Unauthenticated, Some((WWW_AUTHENTICATE, "Bearer")))
            }
            Self::ContentType | Self::ContentEncoding => {
                (Http::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, None)
            }
            Self::TooLarge(_) | Self::UnpacksTooLarge(_) | Self::Spool(Refusal::TooLarge { .. }) => {
                (Http::PAYLOAD_TOO_LARGE, Code::InvalidArgument, None)
            }
            Self::TimedOut => (Http::REQUEST_TIMEOUT, Code::DeadlineExceeded, None),
            Self::CutShort | Self::Gzip(_) | Self::Otlp(_) => {
                (Http::BAD_REQUEST, Code::InvalidArgument, None)
            }
            // OTLP specification, "OTLP/HTTP Throttling".
            Self::Spool(Refusal::Full { .. }) => {
                (Http::TOO_MANY_REQUESTS, Code::ResourceExhausted, Some((RETRY_AFTER, "30")))
            }
            Self::Crowded | Self::Spool(Refusal::Busy { .. }) => {
                (Http::TOO_MANY_REQUESTS, Code::ResourceExhausted, Some((RETRY_AFTER, "1")))
            }
            Self::Spool(Refusal::Failed(_) | Refusal::Closing) | Self::Unread(_) => {
                (Http::SERVICE_UNAVAILABLE, Code::Unavailable, Some((RETRY_AFTER, "30")))
            }
        }
    }
}

/// The response, in the encoding of the request; JSON where that is not known.
pub(super) fn response(encoding: Option<Encoding>, outcome: Result<(), Fault>) -> Response<Full<Bytes>> {
    let encoding = encoding.unwrap_or(Encoding::Json);
    let (status, header, body) = match outcome {
        Ok(()) => (StatusCode::OK, None, Bytes::from_static(reply::accepted(encoding))),
        Err(fault) => {
            let (status, code, header) = fault.row();
            (status, header, Bytes::from(reply::refused(encoding, code, fault.to_string())))
        }
    };
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some((name, value)) = header {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
