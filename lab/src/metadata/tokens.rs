//! Session tokens of the metadata service.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The longest life that the service grants: six hours.
pub(crate) const MAX_TTL_SECONDS: u64 = 21_600;

/// Tokens, each bound to the instance that asked for it.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, (String, Instant)>>);

impl Tokens {
    /// A fresh token for `instance`. `ttl_seconds` outside 1..=[`MAX_TTL_SECONDS`] is refused.
    pub(crate) fn issue(&self, instance: &str, ttl_seconds: u64, now: Instant) -> Option<String> {
        if !(1..=MAX_TTL_SECONDS).contains(&ttl_seconds) {
            return None;
        }
        let mut tokens = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        tokens.retain(|_, (_, end)| *end > now);
        let token = base64::Engine::encode(
            &base64::engine::general_purpose::URL_SAFE,
            rand::random::<[u8; 42]>(),
        );
        tokens.insert(
            token.clone(),
            (instance.to_owned(), now + Duration::from_secs(ttl_seconds)),
        );
        Some(token)
    }

    /// Whether `token` is `instance`'s and still good.
    pub(crate) fn accepts(&self, instance: &str, token: &str, now: Instant) -> bool {
        let tokens = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        tokens
            .get(token)
            .is_some_and(|(owner, end)| owner == instance && *end > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_own_instance_and_time_only() {
        let tokens = Tokens::default();
        let now = Instant::now();
        let token = tokens.issue("i-1", 10, now).expect("the life is legal");
        assert!(tokens.accepts("i-1", &token, now));
        assert!(!tokens.accepts("i-2", &token, now));
        assert!(!tokens.accepts("i-1", &token, now + Duration::from_secs(10)));
        assert!(!tokens.accepts("i-1", "made-up", now));
    }

    #[test]
    fn lives_that_the_service_refuses_are_refused() {
        let tokens = Tokens::default();
        assert_eq!(tokens.issue("i-1", 0, Instant::now()), None);
        assert_eq!(
            tokens.issue("i-1", MAX_TTL_SECONDS + 1, Instant::now()),
            None
        );
    }
}
