//! Generates properties, the same ones for the same seed.

use jiff::Timestamp;
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

const FIRST: [&str; 12] = [
    "Harbor", "Summit", "Cedar", "Granite", "Willow", "Pioneer", "Sierra", "Lakeside", "Union", "Crescent",
    "Redwood", "Bayview",
];
// As people write names: with apostrophes, ampersands, and letters of other languages.
const SECOND: [&str; 10] = [
    "Holdings",
    "Properties",
    "O'Neill & Sons",
    "Realty",
    "Partners",
    "Estates",
    "Immobilien Müller",
    "Capital",
    "Homes; Ltd.",
    "Trust",
];
const STREETS: [&str; 8] =
    ["Main St", "Oak Ave", "Market St", "2nd St", "Mission Blvd", "El Camino Real", "Broadway", "Park Rd"];
/// The cities of the properties.
pub(crate) const CITIES: [&str; 8] =
    ["San Francisco", "Oakland", "Fresno", "Sacramento", "San José", "Reno", "Portland", "Seattle"];
pub(crate) const STATUSES: [&str; 4] = ["available", "leased", "maintenance", "sold"];

/// A property at the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    pub id: String,
    /// The owner; `None` until it is entered.
    pub company_name: Option<String>,
    pub address: String,
    pub city: String,
    pub status: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted: bool,
}

/// Generates the property of this number.
pub(super) fn property(rng: &mut ChaCha8Rng, number: usize, at: Timestamp) -> Property {
    Property {
        id: format!("PROP-{number:06}"),
        company_name: Some(company_name(rng)),
        address: format!("{} {}", rng.random_range(1..9_999), one_of(rng, &STREETS)),
        city: one_of(rng, &CITIES),
        status: one_of(rng, &STATUSES),
        created_at: at,
        updated_at: at,
        deleted: false,
    }
}

pub(super) fn company_name(rng: &mut ChaCha8Rng) -> String {
    format!("{} {}", one_of(rng, &FIRST), one_of(rng, &SECOND))
}

pub(super) fn one_of(rng: &mut ChaCha8Rng, words: &[&str]) -> String {
    words.choose(rng).copied().unwrap_or_default().to_owned()
}
