//! Integration tests: the functions against the lab, and the rules of the repository.

mod on_aws;
mod simulated_days;
mod tidy;
