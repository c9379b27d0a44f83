//! Why a request is refused, as a table of statuses.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use crate::spool::Refusal;

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(in crate::listen) enum Fault {
    #[error("there is nothing here but {}", .0.join(", "))]
    NotFound(&'static [&'static str]),
    #[error("requests are sent with POST")]
    Method,
    #[error("this network needs a token: Authorization: Bearer")]
    Unauthenticated,
    #[error("the content type is not {0}")]
    ContentType(&'static str),
    #[error("the content encoding is not {0}")]
    ContentEncoding(&'static str),
    #[error("the request is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the request unpacks to more than {0} bytes")]
    UnpacksTooLarge(usize),
    #[error("the body did not come in time")]
    TimedOut,
    #[error("the body did not come whole")]
    CutShort,
    #[error("{0}")]
    Broken(String),
    #[error("too many requests are on their way")]
    Crowded,
    #[error(transparent)]
    Spool(#[from] Refusal),
    #[error("the request could not be read: {0}")]
    Unread(String),
}

/// A fault's status, and a header that goes with it.
type Row = (StatusCode, Option<(HeaderName, &'static str)>);

impl Fault {
    fn row(&self) -> Row {
        match self {
            Self::NotFound(_) => (StatusCode::NOT_FOUND, None),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, Some((ALLOW, "POST"))),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, "Bearer"))),
            Self::ContentType(_) | Self::ContentEncoding(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, None),
            Self::TooLarge(_) | Self::UnpacksTooLarge(_) | Self::Spool(Refusal::TooLarge { .. }) => {
                (StatusCode::PAYLOAD_TOO_LARGE, None)
            }
            Self::TimedOut => (StatusCode::REQUEST_TIMEOUT, None),
            Self::CutShort | Self::Broken(_) => (StatusCode::BAD_REQUEST, None),
            // OTLP specification, "OTLP/HTTP Throttling"; Remote-Write 2.0, "Retries & Backoff".
            Self::Spool(Refusal::Full { .. }) => (StatusCode::TOO_MANY_REQUESTS, Some((RETRY_AFTER, "30"))),
            Self::Crowded | Self::Spool(Refusal::Busy { .. }) => {
                (StatusCode::TOO_MANY_REQUESTS, Some((RETRY_AFTER, "1")))
            }
            Self::Spool(Refusal::Failed(_) | Refusal::Closing) | Self::Unread(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, Some((RETRY_AFTER, "30")))
            }
        }
    }

    /// The answer, with this body.
    pub(in crate::listen) fn response(
        &self,
        content_type: &'static str,
        body: Vec<u8>,
    ) -> Response<Full<Bytes>> {
        let (status, header) = self.row();
        let mut response = response(status, content_type, Bytes::from(body));
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// A response with a body of this type.
pub(in crate::listen) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
