//! Drills: scripted incidents to train on. The real functions run in this process on the lab, whose clock stands still
//! between two commands of the trainee, so that everything is the same each time and `wait 2h` costs nothing.
//!
//! A drill is data, a row of [`DRILLS`]: what goes wrong, the right causes and steps, the wrong steps with the harm that they
//! do, the model answer. There is one engine: a [`Scene`] is the lab of one drill, where each step is really done; a
//! [`Session`] is the prompt; [`score`](score::score) is pure; [`play`](play::play) plays the answers that are in the table,
//! as `make test` does for all of them.

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

/// The drill of this name.
///
/// # Errors
/// There is none; says which there are.
pub fn find(name: &str) -> Result<&'static Drill> {
    let names = || DRILLS.iter().map(|drill| drill.name).collect::<Vec<_>>().join(", ");
    DRILLS
        .iter()
        .find(|drill| drill.name == name)
        .with_context(|| format!("there is no drill {name:?}; there are {}", names()))
}

/// The drills as `make drill` lists them.
#[must_use]
pub fn list() -> String {
    let width = DRILLS.iter().map(|drill| drill.name.len()).max().unwrap_or(0);
    let rows =
        DRILLS.iter().map(|drill| format!("  {:<width$}  {:<6}  {}", drill.name, drill.level, drill.title));
    rows.collect::<Vec<_>>().join("\n")
}
