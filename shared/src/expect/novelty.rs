//! The novelty of each value of a stream: a remark at most, as backfills and launches are new and fine.

use std::collections::VecDeque;

/// A value is compared with so many of the nearest earlier ones.
const NEAREST: usize = 5;
/// A remark silences those that are not above it for so many values.
const QUIET: usize = 150;

/// Scores each value by the earlier ones: 0 is usual, 1 is in the farthest tenth, 2 in the farthest hundredth, and so on. Values that
/// are not finite score 0 and are not learnt.
pub fn novelty(values: &[f64]) -> Vec<f64> {
    let mut earlier = Vec::with_capacity(values.len());
    let mut distances: Vec<f64> = Vec::with_capacity(values.len());
    values
        .iter()
        .map(|value| if value.is_finite() { score(*value, &mut earlier, &mut distances) } else { 0.0 })
        .collect()
}

/// Keeps a score only if it is above every one kept of the last 150; the others become 0.
pub fn once(scores: &[f64]) -> Vec<f64> {
    let mut kept: VecDeque<(usize, f64)> = VecDeque::new();
    let keep = |(index, score): (usize, &f64)| {
        kept.retain(|(at, _)| at + QUIET >= index);
        if *score > 0.0 && kept.iter().all(|(_, before)| score > before) {
            kept.push_back((index, *score));
            *score
        } else {
            0.0
        }
    };
    scores.iter().enumerate().map(keep).collect()
}

fn score(value: f64, earlier: &mut Vec<f64>, distances: &mut Vec<f64>) -> f64 {
    let place = earlier.partition_point(|before| *before < value);
    let distance = distance(value, earlier, place);
    earlier.insert(place, value);
    let Some(distance) = distance else { return 0.0 };
    let place = distances.partition_point(|before| *before < distance);
    let (as_far, all) = (distances.len() - place, distances.len());
    distances.insert(place, distance);
    ((1.0 + all as f64) / (1.0 + as_far as f64)).log10()
}

/// Returns the mean distance to the nearest of the sorted earlier values, if there are enough.
fn distance(value: f64, earlier: &[f64], place: usize) -> Option<f64> {
    let (below, above) = earlier.split_at_checked(place)?;
    let mut below = below.iter().rev().map(|before| value - before).peekable();
    let mut above = above.iter().map(|before| before - value).peekable();
    let mut sum = 0.0;
    for _ in 0..NEAREST {
        sum += match (below.peek(), above.peek()) {
            (Some(down), Some(up)) if down <= up => below.next()?,
            (_, Some(_)) => above.next()?,
            _ => below.next()?,
        };
    }
    Some(sum / NEAREST as f64)
}
