//! How far from the expected a finding begins, by the number of series that are judged together.

/// The one-sided 1e-4 quantile of Student's t for 1 to 12 degrees of freedom.
const T_LIMITS: [f64; 12] =
    [3183.10, 70.70, 22.204, 13.034, 9.678, 8.025, 7.063, 6.442, 6.010, 5.694, 5.453, 5.263];
const TAIL: f64 = 1e-4;
/// The height of a drift's cumulative sum.
const DRIFT: f64 = 10.0;
/// The evidence of silence.
const SILENCE: f64 = 14.0;
/// So many series are judged with the limits above; more raise them, to keep the false findings of all together rare.
const SERIES: u32 = 14;
/// More series than this are judged as this many: beyond, the tail of t would lose its precision.
const MOST_SERIES: u32 = 1_000_000;

/// The limits of all rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensitivity {
    t_limits: [f64; 12],
    pub(super) drift: f64,
    pub(super) silence: f64,
}

impl Default for Sensitivity {
    fn default() -> Self {
        Self { t_limits: T_LIMITS, drift: DRIFT, silence: SILENCE }
    }
}

impl Sensitivity {
    /// Returns the limits for so many figures of syncs, so that the false findings of all together do not grow with them.
    pub fn of(series: usize) -> Self {
        let series = u32::try_from(series).unwrap_or(MOST_SERIES).min(MOST_SERIES);
        if series <= SERIES {
            return Self::default();
        }
        let ratio = f64::from(series) / f64::from(SERIES);
        let mut freedom = 0;
        let t_limits = T_LIMITS.map(|_| {
            freedom += 1;
            t_quantile(TAIL / ratio, freedom)
        });
        Self { t_limits, drift: DRIFT + ratio.ln(), silence: SILENCE + ratio.ln() }
    }

    /// Returns how many spreads from the expected a point finding begins, by the residuals that the spread comes from. More
    /// than 12 count as 12, as a guard against heavy tails.
    pub(super) fn spreads(&self, residuals: usize) -> f64 {
        let [first, .., last] = self.t_limits;
        let index = residuals.saturating_sub(1);
        self.t_limits.get(index).copied().unwrap_or(if residuals == 0 { first } else { last })
    }
}

/// Returns the value that Student's t exceeds with this probability (under a half). Halves an interval until it cannot shrink.
fn t_quantile(tail: f64, freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, 1e12);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if t_tail(middle, freedom) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// Returns the probability that Student's t exceeds a value, by the finite series for whole degrees of freedom (Abramowitz and
/// Stegun 26.7.3 and 26.7.4). Its absolute error is a few 1e-16.
fn t_tail(t: f64, freedom: u32) -> f64 {
    let root = f64::from(freedom).sqrt();
    let hypotenuse = t.hypot(root);
    let (sin, cos) = (t / hypotenuse, root / hypotenuse);
    let odd = freedom % 2 == 1;
    // The first term, and the factor of each next one: cos^2 times 2/3, 4/5, ... or 1/2, 3/4, ...
    let (mut term, mut sum) = if odd { (cos, 0.0) } else { (1.0, 0.0) };
    let mut step = if odd { 2 } else { 1 };
    for _ in 0..freedom / 2 {
        sum += term;
        term *= cos * cos * f64::from(step) / f64::from(step + 1);
        step += 2;
    }
    let beyond =
        if odd { (root.atan2(t) - sin * sum) / std::f64::consts::FRAC_PI_2 } else { 1.0 - sin * sum };
    beyond / 2.0
}
