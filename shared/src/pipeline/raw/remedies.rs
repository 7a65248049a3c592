//! `[remedies]`: which remedies may act.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::{Text, Validation};
use crate::pipeline::{DEFAULT_MIN_GAIN, Remedies, RemedyKind};

/// The most clusters of a SQL warehouse (the vendor's SDK for Python, `WarehousesAPI.edit`).
const MOST_CLUSTERS: u32 = 40;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRemedies {
    level: Option<Text>,
    #[serde(default)]
    levels: BTreeMap<Text, Text>,
    min_gain: Option<Text>,
    usd_per_hour: Option<Spanned<f64>>,
    usd_per_day: Option<Spanned<f64>>,
    max_clusters: Option<Spanned<u32>>,
}

impl Validation {
    /// Checks the policy of the remedies.
    pub(super) fn remedies(&mut self, raw: RawRemedies) -> Remedies {
        let level = raw.level.and_then(|level| self.word(&level, "remedies.level")).unwrap_or_default();
        let mut levels = BTreeMap::new();
        for (name, text) in &raw.levels {
            let kind: Option<RemedyKind> = self.word(name, "remedies.levels");
            let own = self.word(text, "remedies.levels");
            let (Some(kind), Some(own)) = (kind, own) else { continue };
            if own > level {
                let found = format!("{kind} is \"{own}\", above the level of all, \"{level}\"");
                self.refuse(text, "remedies.levels", found, "raise remedies.level, or lower this one");
            }
            levels.insert(kind, own);
        }
        let min_gain =
            raw.min_gain.map_or(DEFAULT_MIN_GAIN, |text| self.duration(&text, "remedies.min_gain"));
        let usd_per_hour = raw.usd_per_hour.and_then(|usd| self.usd(&usd, "remedies.usd_per_hour"));
        let usd_per_day = raw.usd_per_day.and_then(|usd| {
            if usd_per_hour.is_none() {
                let found = "the price of the warehouse is not declared";
                self.refuse(&usd, "remedies.usd_per_day", found, "add remedies.usd_per_hour");
            }
            self.usd(&usd, "remedies.usd_per_day")
        });
        let max_clusters = raw.max_clusters.and_then(|clusters| self.clusters(&clusters));
        Remedies { level, levels, min_gain, usd_per_hour, usd_per_day, max_clusters }
    }

    fn clusters(&mut self, clusters: &Spanned<u32>) -> Option<u32> {
        let value = *clusters.get_ref();
        let is_valid = (2..=MOST_CLUSTERS).contains(&value);
        if !is_valid {
            let remedy = format!("use 2 to {MOST_CLUSTERS}, or remove it so that none is added");
            self.refuse(clusters, "remedies.max_clusters", format!("found {value}"), &remedy);
        }
        is_valid.then_some(value)
    }

    fn usd(&mut self, usd: &Spanned<f64>, key: &str) -> Option<f64> {
        let value = *usd.get_ref();
        let is_price = (0.0..=10_000.0).contains(&value);
        if !is_price {
            self.refuse(usd, key, format!("found {value}"), "use US dollars from 0 to 10000");
        }
        is_price.then_some(value)
    }
}
