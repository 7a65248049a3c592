//! Drills: scripted incidents to train on. The real functions run in this process on the lab. Its clock is stopped between
//! two commands of the trainee, so every run is the same and `wait 2h` takes no time.
//!
//! A drill is data, a row of [`DRILLS`]: the faults, the right causes and steps, the wrong steps with the harm that they
//! do, the model answer. One engine runs them all: a [`Scene`] is the lab of one drill, where each step is really applied;
//! a [`Session`] is the prompt; [`score`](score::score) is pure; [`play`](play::play) plays the answers in the table, as
//! `make test` does for every drill.

mod catalog;
mod doorbell;
pub mod drill;
mod look;
pub mod play;
mod remedies;
mod scene;
pub mod score;
mod session;
#[cfg(test)]
mod tests;

use anyhow::{Context as _, Result};

pub use catalog::DRILLS;
pub use drill::Drill;
pub use scene::Scene;
pub use session::{Request, Session, converse, model_answer};

/// Finds a drill by its name.
///
/// # Errors
/// The name is unknown; the error lists the drills.
pub fn find(name: &str) -> Result<&'static Drill> {
    let names = || DRILLS.iter().map(|drill| drill.name).collect::<Vec<_>>().join(", ");
    DRILLS
        .iter()
        .find(|drill| drill.name == name)
        .with_context(|| format!("unknown drill {name:?}; the drills are {}", names()))
}

/// The drills as `make drill` lists them.
#[must_use]
pub fn list() -> String {
    let width = DRILLS.iter().map(|drill| drill.name.len()).max().unwrap_or(0);
    let rows =
        DRILLS.iter().map(|drill| format!("  {:<width$}  {:<6}  {}", drill.name, drill.level, drill.title));
    rows.collect::<Vec<_>>().join("\n")
}
