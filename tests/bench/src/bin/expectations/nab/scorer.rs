//! The scoring of NAB v1.1: an early detection in a window earns more, a detection far from any window costs more.
//!
//! Source: `nab/sweeper.py`, `nab/scorer.py`, `nab/runner.py` and `config/profiles.json` of numenta/NAB at ea702d7, read
//! for their rules and written anew.

/// The shares of a file that are not scored, as its detector still learns: 15% of its rows, at most of 5,000.
const PROBATION: f64 = 0.15;
const PROBATION_ROWS: f64 = 5_000.0;
/// A detection so many window lengths behind a window costs the whole weight.
const FAR: f64 = 3.0;

/// The weights of one application profile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Profile {
    pub(crate) name: &'static str,
    pub(crate) detected: f64,
    pub(crate) false_alarm: f64,
    pub(crate) missed: f64,
}

/// The three profiles of the benchmark, by the names in its results.
pub(crate) const PROFILES: [Profile; 3] = [
    Profile { name: "standard", detected: 1.0, false_alarm: 0.11, missed: 1.0 },
    Profile { name: "reward_low_FP_rate", detected: 1.0, false_alarm: 0.22, missed: 1.0 },
    Profile { name: "reward_low_FN_rate", detected: 1.0, false_alarm: 0.11, missed: 2.0 },
];

/// A window around an anomaly: its first and last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

/// One scored row: the detector's score, and the worth of a detection here.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    score: f64,
    worth: f64,
    /// The number of its window in the corpus; `None` outside windows.
    window: Option<usize>,
}

/// The rows of a corpus that count, under one profile.
#[derive(Debug)]
pub(crate) struct Board {
    profile: Profile,
    points: Vec<Point>,
    windows: usize,
}

/// The result of one threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Outcome {
    /// Scores from this value on are detections.
    pub(crate) threshold: f64,
    /// 100 is a detector that finds every window at once and nothing else; 0 is one that finds nothing.
    pub(crate) normalized: f64,
    pub(crate) windows_found: usize,
    pub(crate) false_alarms: usize,
}

impl Board {
    pub(crate) fn new(profile: Profile) -> Self {
        Self { profile, points: Vec::new(), windows: 0 }
    }

    /// Adds the rows of one file: a score for each, and its windows in order.
    pub(crate) fn add(&mut self, scores: &[f64], windows: &[Window]) {
        let learning = (PROBATION * scores.len() as f64).floor().min(PROBATION * PROBATION_ROWS);
        let mut passed: Option<Window> = None;
        let mut coming = windows.iter().enumerate().peekable();
        for (row, score) in scores.iter().enumerate() {
            while let Some((_, window)) = coming.next_if(|(_, window)| window.last < row) {
                passed = Some(*window);
            }
            let inside = coming.peek().filter(|(_, window)| window.first <= row);
            let worth = match (inside, passed) {
                (Some((_, window)), _) => self.profile.detected * in_window(row, **window),
                (None, Some(window)) => self.profile.false_alarm * behind(row, window),
                (None, None) => -self.profile.false_alarm,
            };
            let window = inside.map(|(number, _)| self.windows + number);
            if row as f64 >= learning {
                self.points.push(Point { score: *score, worth, window });
            }
        }
        self.windows += windows.len();
    }

    /// Scores the corpus at every threshold that changes something, the highest first.
    fn sweep(&mut self) -> Vec<Outcome> {
        self.points.sort_by(|a, b| b.score.total_cmp(&a.score));
        let mut best: Vec<Option<f64>> = vec![None; self.windows];
        let (mut false_worth, mut false_alarms) = (0.0, 0);
        let mut outcomes = vec![self.outcome(f64::INFINITY, &best, 0.0, 0)];
        for tied in self.points.chunk_by(|a, b| a.score == b.score) {
            for point in tied {
                match point.window.and_then(|number| best.get_mut(number)) {
                    Some(best) => *best = Some(best.map_or(point.worth, |best| best.max(point.worth))),
                    None => {
                        false_worth += point.worth;
                        false_alarms += 1;
                    }
                }
            }
            let threshold = tied.first().map_or(f64::INFINITY, |point| point.score);
            outcomes.push(self.outcome(threshold, &best, false_worth, false_alarms));
        }
        outcomes
    }

    fn outcome(
        &self,
        threshold: f64,
        best: &[Option<f64>],
        false_worth: f64,
        false_alarms: usize,
    ) -> Outcome {
        let windows = self.windows as f64;
        let found: f64 = best
            .iter()
            .map(|best| best.map_or(-self.profile.missed, |worth| worth.max(-self.profile.missed)))
            .sum();
        let nothing = -self.profile.missed * windows;
        let perfect = self.profile.detected * windows;
        Outcome {
            threshold,
            normalized: 100.0 * (found + false_worth - nothing) / (perfect - nothing),
            windows_found: best.iter().flatten().count(),
            false_alarms,
        }
    }

    /// Finds the threshold with the best result, as the benchmark does for each detector.
    pub(crate) fn best(&mut self) -> Option<Outcome> {
        self.sweep()
            .into_iter()
            .reduce(|best, next| if next.normalized > best.normalized { next } else { best })
    }

    /// Scores the corpus with detections wherever the score is at least this value.
    pub(crate) fn from(&mut self, limit: f64) -> Option<Outcome> {
        self.sweep().into_iter().take_while(|outcome| outcome.threshold >= limit).last()
    }

    /// Scores the corpus with detections wherever the score is above this value.
    pub(crate) fn above(&mut self, limit: f64) -> Option<Outcome> {
        self.sweep().into_iter().take_while(|outcome| outcome.threshold > limit).last()
    }
}

/// The worth of a detection in a window: 1 at its first row, nearly 0 at its last.
fn in_window(row: usize, window: Window) -> f64 {
    let length = (window.last - window.first + 1) as f64;
    let left = (window.last - row + 1) as f64;
    slope(-left / length) / slope(-1.0)
}

/// The cost of a detection behind a window, 0 to -1.
fn behind(row: usize, window: Window) -> f64 {
    let distance = (row - window.last) as f64 / (window.last - window.first) as f64;
    if distance > FAR { -1.0 } else { slope(distance) }
}

/// A curve from 1 far left of the window's end to -1 far right of it.
fn slope(position: f64) -> f64 {
    2.0 / (1.0 + (5.0 * position).exp()) - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: Profile = PROFILES[0];

    fn board(hits: &[usize], windows: &[Window]) -> Board {
        let mut scores = vec![0.0; 1_000];
        for hit in hits {
            scores[*hit] = 1.0;
        }
        let mut board = Board::new(STANDARD);
        board.add(&scores, windows);
        board
    }

    const WINDOW: Window = Window { first: 400, last: 499 };

    #[test]
    fn first_row_of_the_window_is_worth_everything() {
        assert_eq!(board(&[400], &[WINDOW]).above(0.5).unwrap().normalized, 100.0);
    }

    #[test]
    fn later_detection_in_the_window_earns_less() {
        let at = |row| board(&[row], &[WINDOW]).above(0.5).unwrap().normalized;
        assert!(at(420) < 100.0 && at(420) > at(450) && at(450) > at(499) && at(499) > 50.0);
    }

    #[test]
    fn only_the_first_detection_of_a_window_counts() {
        let outcome = board(&[410, 450, 480], &[WINDOW]).above(0.5).unwrap();
        assert_eq!(outcome.normalized, board(&[410], &[WINDOW]).above(0.5).unwrap().normalized);
        assert_eq!((outcome.windows_found, outcome.false_alarms), (1, 0));
    }

    #[test]
    fn detection_just_behind_the_window_costs_less() {
        let at = |row| board(&[400, row], &[WINDOW]).above(0.5).unwrap().normalized;
        assert!(at(501) > at(560) && at(560) > at(900));
        // Before the first window, and far behind one: the whole weight.
        assert!((at(900) - (100.0 - 100.0 * 0.11 / 2.0)).abs() < 1e-9);
        assert!((at(300) - at(900)).abs() < 1e-9);
    }

    #[test]
    fn rows_of_the_probation_do_not_count() {
        assert_eq!(board(&[400, 149], &[WINDOW]).above(0.5).unwrap().false_alarms, 0);
        assert_eq!(board(&[400, 150], &[WINDOW]).above(0.5).unwrap().false_alarms, 1);
    }

    #[test]
    fn silent_detector_scores_zero() {
        assert_eq!(board(&[], &[WINDOW]).above(0.5).unwrap().normalized, 0.0);
    }

    #[test]
    fn best_threshold_drops_detections_that_cost_more() {
        let mut scores = vec![0.0; 1_000];
        scores[400] = 3.0;
        scores[300] = 2.0;
        let mut board = Board::new(STANDARD);
        board.add(&scores, &[WINDOW]);
        let best = board.best().unwrap();
        assert_eq!((best.threshold, best.normalized), (3.0, 100.0));
    }
}
