//! Decides how to answer an HTTP request, before anything else is done. Pure: the keys and `now` are arguments.
//!
//! Census signs only the raw body: no timestamp, no URL, no method (Census docs, "Sync lifecycle webhooks"). So a replay
//! cannot be detected by its age. A replay is harmless: a delivery only names a sync, it is remembered once it was handled,
//! and the sync is judged by its current state.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use syncwatch::aws::secrets::SecretValues;
use syncwatch::pipeline::Pipeline;

use crate::delivery::{self, Fields};
use crate::request::Request;

/// The path that Census posts to.
pub const PATH: &str = "/webhooks/census";
/// A documented body is well under 1 kB. A longer body than this is refused before its signature is computed.
pub const BODY_LIMIT: usize = 64 * 1024;
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-signature";
/// The length of an HMAC-SHA256.
const SIGNATURE_BYTES: usize = 32;

/// The decision on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Signed: it goes to the queue.
    Accepted {
        message: String,
        about: Fields,
    },
    /// Signed, but about a sync that `pipeline.toml` does not declare: only counted.
    UnknownSync {
        about: Fields,
    },
    Refused(Refusal),
    /// AWS did not answer or refused: Census should retry.
    TryAgain {
        about: Fields,
        why: String,
    },
}

/// The reason why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// The path is not [`PATH`].
    UnknownPath,
    MethodNotAllowed,
    /// More than [`BODY_LIMIT`] bytes.
    TooLarge,
    NoSignature,
    /// More than one signature, so it is ambiguous.
    SeveralSignatures,
    /// The signature is not the standard, padded Base64 of 32 bytes.
    GarbledSignature,
    /// The signature is in hexadecimal, as other vendors send it.
    HexSignature,
    /// The signature has a prefix such as `sha256=`, as other vendors send it.
    PrefixedSignature,
    /// The body is marked as Base64, but invalid.
    GarbledBody,
    WrongSignature,
}

impl Refusal {
    /// The HTTP status of the answer, and the name in the log.
    pub fn status_and_name(self) -> (u16, &'static str) {
        match self {
            Self::UnknownPath => (404, "unknown-path"),
            Self::MethodNotAllowed => (405, "method-not-allowed"),
            Self::TooLarge => (413, "too-large"),
            Self::NoSignature => (401, "no-signature"),
            Self::SeveralSignatures => (401, "several-signatures"),
            Self::GarbledSignature => (401, "garbled-signature"),
            Self::HexSignature => (401, "hex-signature"),
            Self::PrefixedSignature => (401, "prefixed-signature"),
            Self::GarbledBody => (400, "garbled-body"),
            Self::WrongSignature => (401, "wrong-signature"),
        }
    }
}

/// A request that has passed all checks that need no key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    body: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

/// Makes all checks that need no key, the cheapest first.
///
/// * another path, another method, a body over the limit => refused, even if it is signed
/// * no signature, several, or a malformed one           => refused
pub fn admit(request: &Request) -> Result<Signed, Refusal> {
    if request.path.strip_suffix('/').unwrap_or(&request.path) != PATH {
        return Err(Refusal::UnknownPath);
    }
    if request.method != "POST" {
        return Err(Refusal::MethodNotAllowed);
    }
    // Base64 has four characters for three bytes.
    let longest = if request.is_base64 { BODY_LIMIT.div_ceil(3) * 4 } else { BODY_LIMIT };
    if request.body.len() > longest {
        return Err(Refusal::TooLarge);
    }
    let signature = signature(&request.headers)?;
    let body = if request.is_base64 {
        STANDARD.decode(&request.body).map_err(|_| Refusal::GarbledBody)?
    } else {
        request.body.clone().into_bytes()
    };
    if body.len() > BODY_LIMIT {
        return Err(Refusal::TooLarge);
    }
    Ok(Signed { body, signature })
}

fn signature(headers: &[(String, String)]) -> Result<[u8; SIGNATURE_BYTES], Refusal> {
    let mut values = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(SIGNATURE_HEADER));
    let (_, value) = values.next().ok_or(Refusal::NoSignature)?;
    // Lambda joins headers of the same name by commas, which are not in the Base64 alphabet.
    if values.next().is_some() || value.contains(',') {
        return Err(Refusal::SeveralSignatures);
    }
    let value = value.trim();
    let garbled = match value.split_once('=') {
        Some((_, rest)) if rest.len() > 1 => Refusal::PrefixedSignature,
        _ if value.len() == 2 * SIGNATURE_BYTES && value.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Refusal::HexSignature
        }
        _ => Refusal::GarbledSignature,
    };
    let bytes = STANDARD.decode(value).map_err(|_| garbled)?;
    bytes.try_into().map_err(|_| garbled)
}

impl Refusal {
    /// Whether only the signature is wrong, so that Census itself may have sent the request.
    pub fn is_of_signature(self) -> bool {
        self.status_and_name().0 == 401
    }
}

/// Whether the body of a request names a declared sync and an event, as those of Census do.
pub fn names_declared_sync(request: &Request, pipeline: &Pipeline) -> bool {
    let body = if request.is_base64 {
        STANDARD.decode(&request.body).ok()
    } else {
        Some(request.body.clone().into())
    };
    let fields = body.filter(|body| body.len() <= BODY_LIMIT).and_then(|body| Fields::read(&body));
    fields.is_some_and(|fields| {
        fields.event.is_some() && fields.sync_id.is_some_and(|sync| pipeline.sync_by_id(sync).is_some())
    })
}

impl Signed {
    /// Decides with the keys.
    ///
    /// * not signed with a live secret    => refused
    /// * signed, about an undeclared sync => answered and counted
    /// * signed                           => accepted, even if invalid: a signed delivery is never lost, and an invalid one
    ///   ends in the dead-letter queue
    pub fn verdict(&self, keys: &SecretValues, pipeline: &Pipeline, now: Timestamp) -> Verdict {
        if !self.is_signed_with_any_of(keys) {
            return Verdict::Refused(Refusal::WrongSignature);
        }
        let about = Fields::read(&self.body).unwrap_or_default();
        match about.sync_id {
            Some(sync) if pipeline.sync_by_id(sync).is_none() => Verdict::UnknownSync { about },
            _ => Verdict::Accepted { message: delivery::queue_message(&self.body, now), about },
        }
    }

    /// Compares in constant time, and always with every live secret, so that the time does not disclose how much matched or
    /// which secret did.
    fn is_signed_with_any_of(&self, keys: &SecretValues) -> bool {
        std::iter::once(&keys.current)
            .chain(&keys.previous)
            .fold(false, |any, key| any | self.is_signed_with(key))
    }

    fn is_signed_with(&self, key: &SecretString) -> bool {
        // HMAC accepts a key of any length, so this never fails.
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).is_ok_and(|mut mac| {
            mac.update(&self.body);
            mac.verify_slice(&self.signature).is_ok()
        })
    }
}

#[cfg(test)]
mod tests;
