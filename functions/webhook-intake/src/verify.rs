//! Decides what becomes of an HTTP request before anything is done about it. Pure: the keys and `now` are arguments.
//!
//! Census signs the raw body, and nothing else: no timestamp, no URL, no method (Census docs, "Sync lifecycle
//! webhooks"). So there is no window outside of which a replay could be refused. A replay is harmless here: a delivery
//! says only where to look, it is remembered once it was handled, and what is seen is judged as it is now.

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

/// Where Census posts to.
pub const PATH: &str = "/webhooks/census";
/// A documented body is well under 1 kB. What is longer is refused before its signature is computed.
pub const BODY_LIMIT: usize = 64 * 1024;
/// The header with the signature.
pub const SIGNATURE_HEADER: &str = "x-signature";
/// Bytes of an HMAC-SHA256.
const SIGNATURE_BYTES: usize = 32;

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Census signed it: it goes to the queue.
    Accepted {
        message: String,
        about: Fields,
    },
    /// Census signed it, but it is about a sync that `pipeline.toml` does not declare: counted, and no more.
    UnknownSync {
        about: Fields,
    },
    Refused(Refusal),
    /// AWS did not do its part: Census is to try again.
    TryAgain {
        about: Fields,
        why: String,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// Another path than [`PATH`].
    UnknownPath,
    MethodNotAllowed,
    /// More than [`BODY_LIMIT`] bytes.
    TooLarge,
    NoSignature,
    /// More than one signature, and nothing says which of them is meant.
    SeveralSignatures,
    /// The signature is not the standard, padded Base64 of 32 bytes.
    GarbledSignature,
    /// The signature is in hexadecimal digits, as other vendors write it.
    HexSignature,
    /// The signature has a prefix such as `sha256=`, as other vendors write it.
    PrefixedSignature,
    /// The body claims to be Base64 and is not.
    GarbledBody,
    WrongSignature,
}

impl Refusal {
    /// The HTTP status with which it is answered, and its name in the log.
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

/// A request that may be one of Census: all that can be told without a key was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    body: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

/// Looks at all that can be told without a key, the cheapest first.
///
/// * another path, another method, a body over the limit => refused, whatever it is signed with
/// * no signature, several, or one that cannot be one    => refused
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
    // Lambda joins headers of the same name by commas, which no Base64 has.
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
    /// Whether Census itself may have sent it, and only the signature is not what we take.
    pub fn is_of_signature(self) -> bool {
        self.status_and_name().0 == 401
    }
}

/// Whether a request that was refused tells, as Census does, of a declared sync.
pub fn tells_of_declared(request: &Request, pipeline: &Pipeline) -> bool {
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
    /// Decides, now that there are keys.
    ///
    /// * signed with none of the live secrets      => refused
    /// * signed, about an undeclared sync          => answered and counted
    /// * signed                                    => accepted, also if it makes no sense: what Census signed is never
    ///   lost, and what cannot be understood ends where people look at it
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

    /// Compares in constant time, with every live secret whatever the others gave, so that the time taken tells nothing
    /// of how much was right, nor of which secret it was.
    fn is_signed_with_any_of(&self, keys: &SecretValues) -> bool {
        std::iter::once(&keys.current)
            .chain(&keys.previous)
            .fold(false, |any, key| any | self.is_signed_with(key))
    }

    fn is_signed_with(&self, key: &SecretString) -> bool {
        // HMAC takes a key of any length, so there is no error to be told.
        Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()).is_ok_and(|mut mac| {
            mac.update(&self.body);
            mac.verify_slice(&self.signature).is_ok()
        })
    }
}

#[cfg(test)]
mod tests;
