//! Checks a request's signature as the service does.

use std::time::SystemTime;

use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;

use crate::server::Request;
use crate::{REGION, credentials};

/// Whether the signature is right for exactly this body.
pub(crate) fn is_valid(request: &Request, scheme: &str) -> bool {
    is_valid_for(
        request,
        "logs",
        &format!("{scheme}://{}/", request.header("host").unwrap()),
    )
}

/// The same of another service, at this address.
pub(crate) fn is_valid_for(request: &Request, service: &str, url: &str) -> bool {
    let given = request.header("authorization").unwrap();
    let signed_headers = given
        .split_once("SignedHeaders=")
        .and_then(|(_, rest)| rest.split_once(','))
        .unwrap()
        .0;
    // These two are made by signing itself.
    let headers = request.headers.iter().filter(|(name, _)| {
        signed_headers
            .split(';')
            .any(|it| it == name.to_lowercase())
            && !["x-amz-date", "host"].contains(&name.to_lowercase().as_str())
    });
    let identity = credentials().into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name(service)
        .time(time(request))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let signable = SignableRequest::new(
        &request.method,
        url,
        headers.map(|(name, value)| (name.as_str(), value.as_str())),
        SignableBody::Bytes(&request.body),
    )
    .unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    instructions
        .headers()
        .any(|(name, value)| name == "authorization" && value == given)
}

/// When it was signed.
pub(crate) fn time(request: &Request) -> SystemTime {
    let date = request.header("x-amz-date").unwrap();
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).unwrap();
    time.to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap()
        .timestamp()
        .into()
}
