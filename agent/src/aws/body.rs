//! Sending a body that is finished already: the SDK makes, signs and sends the request, but serialises nothing and hashes
//! nothing.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aws_runtime::auth::PayloadSigningOverride;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;

/// Whether a request was handed to the connection. What was not can't have arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Handed(Arc<AtomicBool>);

impl Handed {
    /// Whether it was.
    pub(super) fn over(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A finished body.
#[derive(Clone)]
pub(super) struct Finished {
    /// What is sent, as it is.
    pub(super) bytes: Bytes,
    /// Its SHA-256; without it the SDK makes one.
    pub(super) sha256: Option<[u8; 32]>,
    /// Whether it is compressed with gzip.
    pub(super) gzip: bool,
}

/// Watches one call, and gives it its body.
pub(super) struct Watch {
    handed: Handed,
    body: Option<Finished>,
}

impl Watch {
    /// Watches a call that sends `body` instead of what the SDK makes, where there is one.
    pub(super) fn new(handed: &Handed, body: Option<Finished>) -> Watch {
        Watch {
            handed: handed.clone(),
            body,
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("handed", &self.handed)
            .field("body_bytes", &self.body.as_ref().map(|it| it.bytes.len()))
            .finish()
    }
}

#[dyn_dispatch_hint]
impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "baker_agent::Watch"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(body) = &self.body else {
            return Ok(());
        };
        let request = context.request_mut();
        let headers = request.headers_mut();
        headers.insert("content-length", body.bytes.len().to_string());
        if body.gzip {
            headers.insert("content-encoding", "gzip");
        }
        *request.body_mut() = SdkBody::from(body.bytes.clone());
        if let Some(sha256) = &body.sha256 {
            bag.interceptor_state()
                .store_put(PayloadSigningOverride::Precomputed(hex(sha256)));
        }
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.handed.0.store(true, Ordering::Release);
        Ok(())
    }
}

/// Lower-case hexadecimal, as signatures want it.
fn hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(64);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_written_as_signatures_want_it() {
        let mut hash = [0; 32];
        hash[0] = 0x0f;
        hash[31] = 0xa5;
        let text = hex(&hash);
        assert!(text.starts_with("0f00") && text.ends_with("00a5"), "{text}");
        assert_eq!(text.len(), 64);
    }
}
