//! Integration tests: the functions against the lab, and the rules of the repository.

#[cfg(test)]
mod configuration_audit;
#[cfg(test)]
mod crashes;
#[cfg(test)]
mod create_proof;
#[cfg(test)]
mod data_checks;
#[cfg(test)]
mod deployed;
#[cfg(test)]
mod engines;
#[cfg(test)]
mod flapping;
#[cfg(test)]
mod incidents;
#[cfg(test)]
mod lab;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod nightly;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod odbc_zips;
#[cfg(test)]
mod on_aws;
#[cfg(test)]
mod operate;
#[cfg(test)]
mod packages;
#[cfg(test)]
mod page;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod preflight;
#[cfg(test)]
mod quiet_days;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod reconcile_days;
#[cfg(test)]
mod reconciliation_rounds;
#[cfg(test)]
mod remedies;
#[cfg(test)]
mod remedy_days;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod runbook;
#[cfg(test)]
mod safe_form;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod simulated_databricks;
#[cfg(test)]
mod simulated_days;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod spark;
#[cfg(test)]
mod supply;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod warehouse;
#[cfg(test)]
mod warehouse_failures;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod words;
