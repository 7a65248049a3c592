//! The log: one JSON object per line on standard output, the format that `CloudWatch` searches best.
//!
//! Filters are plain targets and levels. The richer filters of `tracing-subscriber` need a regex engine, which would
//! slow every cold start.

use std::io::IsTerminal as _;
use std::str::FromStr as _;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::Env;

/// Starts logging and the metrics on standard output. Calling it again changes nothing.
///
/// `AWS_LAMBDA_LOG_LEVEL` (else `RUST_LOG`, else `info`) sets the level; `AWS_LAMBDA_LOG_FORMAT=Text` prints text
/// instead of JSON on a terminal. Lambda sets both `AWS_` variables from the function's logging configuration.
pub fn init(env: &Env) {
    super::metrics::begin();
    let filter = filter(env);
    let registry = tracing_subscriber::registry();
    let result = if wants_text(env, std::io::stdout().is_terminal()) {
        registry.with(fmt::layer().with_filter(filter)).try_init()
    } else {
        let layer = fmt::layer().json().flatten_event(true).with_span_list(false).with_target(true);
        registry.with(layer.with_filter(filter)).try_init()
    };
    // Fails if a subscriber is already set, as in tests; that one stays.
    drop(result);
}

/// Text is for terminals only. Lambda sets `Text` for functions whose log lines it passes on unchanged, such as ours:
/// lines of metrics must not be wrapped.
fn wants_text(env: &Env, terminal: bool) -> bool {
    let format = env.optional("AWS_LAMBDA_LOG_FORMAT");
    terminal && format.is_some_and(|format| format.eq_ignore_ascii_case("text"))
}

fn filter(env: &Env) -> Targets {
    let wanted = env.optional("AWS_LAMBDA_LOG_LEVEL").or_else(|| env.optional("RUST_LOG"));
    let Some(wanted) = wanted else { return Targets::new().with_default(LevelFilter::INFO) };
    // Lambda has a level above `error` that `tracing` lacks.
    let wanted = if wanted.eq_ignore_ascii_case("fatal") { "error".to_owned() } else { wanted };
    // An invalid level must not disable the log.
    Targets::from_str(&wanted).unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO))
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn passes(variables: &[(&str, &str)], target: &str, level: Level) -> bool {
        filter(&Env::from_map(variables.iter().copied())).would_enable(target, &level)
    }

    #[test]
    fn text_is_written_to_terminals_only() {
        let text = Env::from_map([("AWS_LAMBDA_LOG_FORMAT", "Text")]);
        assert!(!wants_text(&text, false));
        assert!(wants_text(&text, true));
        assert!(!wants_text(&Env::from_map([("AWS_LAMBDA_LOG_FORMAT", "JSON")]), true));
    }

    #[test]
    fn default_level_is_info() {
        for variables in [&[][..], &[("RUST_LOG", "a=b=c")], &[("AWS_LAMBDA_LOG_LEVEL", "")]] {
            assert!(passes(variables, "syncwatch", Level::INFO), "{variables:?}");
            assert!(!passes(variables, "syncwatch", Level::DEBUG), "{variables:?}");
        }
    }

    #[test]
    fn lambda_log_level_overrides_rust_log() {
        let both = [("AWS_LAMBDA_LOG_LEVEL", "WARN"), ("RUST_LOG", "debug")];
        assert!(!passes(&both, "syncwatch", Level::INFO));
        assert!(passes(&both, "syncwatch", Level::WARN));
        assert!(passes(&[("AWS_LAMBDA_LOG_LEVEL", "FATAL")], "syncwatch", Level::ERROR));
        assert!(!passes(&[("AWS_LAMBDA_LOG_LEVEL", "FATAL")], "syncwatch", Level::WARN));
    }

    #[test]
    fn levels_can_differ_by_target() {
        let variables = [("RUST_LOG", "info,syncwatch=debug")];
        assert!(passes(&variables, "syncwatch::aws", Level::DEBUG));
        assert!(!passes(&variables, "hyper", Level::DEBUG));
    }
}
