//! Drills without a trainee: plays the model answer, or a wrong one, on the lab.

use std::time::Duration;

use anyhow::Result;
use syncwatch_lab::aws::Ministack;

use crate::drill::{Drill, Fix};
use crate::scene::Scene;
use crate::score::{Figures, Outcome, Performance, Score, score};

/// The answer to play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Model,
    /// A cause of another drill, and every wrong step.
    Wrong,
}

/// The result of a played drill.
#[derive(Debug, Clone)]
pub struct Played {
    /// The subjects of all mails, in order.
    pub subjects: Vec<String>,
    /// The number of webhooks handled after the last step.
    pub webhooks: usize,
    /// The harm that each step did while it was applied.
    pub harm: Vec<(Fix, Figures)>,
    /// The state of the world at the end.
    pub outcome: Outcome,
    pub score: Score,
}

/// Plays a drill. A played answer takes no time to diagnose, so it loses no points for time.
///
/// # Errors
/// The lab fails.
pub async fn play(aws: &Ministack, suffix: &str, drill: &Drill, answer: Answer) -> Result<Played> {
    let mut scene = Scene::set(aws, suffix, drill).await?;
    scene.play_beats(drill.beats).await?;
    let (causes, fixes) = match answer {
        Answer::Model => drill.model(),
        Answer::Wrong => drill.wrong(),
    };
    let mut harm = Vec::new();
    for fix in &fixes {
        let before = scene.figures().await?;
        scene.apply(*fix).await?;
        harm.push((*fix, scene.figures().await?.since(before)));
    }
    let webhooks_before = scene.webhooks_handled();
    let outcome = scene.settle().await?;
    let webhooks = scene.webhooks_handled() - webhooks_before;
    let performance =
        Performance { causes, diagnosed_after: Some(Duration::ZERO), fixes, ..Performance::default() };
    let score = score(drill, &performance, &outcome);
    let subjects = scene.mails().into_iter().map(|mail| mail.subject).collect();
    Ok(Played { subjects, webhooks, harm, outcome, score })
}
