//! The fingerprint of a routing key, which may be stored where the key may not.

use std::fmt;

use sha2::{Digest as _, Sha256};

const BYTES: usize = 8;

/// Tells routing keys apart without being one: the first 16 hexadecimal digits of the key's SHA-256. A random key of 32
/// characters cannot be guessed from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a routing key.
    pub fn of(key: &str) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        Self(digest.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect())
    }

    /// A fingerprint as it was stored.
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_stable_and_shows_nothing_of_the_key() {
        let key = "0123456789abcdef0123456789ABCDEF";
        assert_eq!(Fingerprint::of(key), Fingerprint::of(key));
        assert_ne!(Fingerprint::of(key), Fingerprint::of("R123456789abcdef0123456789ABCDEF"));
        assert_eq!(Fingerprint::of(key).as_str().len(), 16);
        assert_eq!(Fingerprint::stored(Fingerprint::of(key).as_str()), Fingerprint::of(key));
    }
}
