//! The line through the newest days of a figure: where its trend begins, and how sure it is.

use crate::stats::{MAD, median};

/// The shortest trend, in days with a figure.
pub(super) const MIN_TREND: usize = 10;
/// A trend can begin with the first day, or after at least so many days that stood still.
const MIN_STILL: usize = 7;
/// A later begin has to lower the cost to this share.
const BETTER: f64 = 0.93;
/// The least correlation of a day's residual with the one before, and the greatest.
const RHO: [f64; 2] = [0.2, 0.9];
/// The spread is at most so many robust spreads: two odd days do not hide a trend.
const ROBUST: f64 = 2.0;
/// Theil-Sen's slope has a larger standard error than least squares by this factor.
const SLOPE_FACTOR: f64 = 1.1;

/// A line y = a + b x, x in days.
#[derive(Debug, Clone)]
pub(super) struct Line {
    a: f64,
    b: f64,
    /// The days from its begin on, and their residuals.
    points: usize,
    pub(super) first: f64,
    pub(super) last: f64,
    mean: f64,
    sxx: f64,
    residuals: Vec<f64>,
    rho: f64,
    /// The spread of the residuals.
    pub(super) sd: f64,
}

impl Line {
    /// Fits a line from the best begin on. None if there are fewer than [`MIN_TREND`] points.
    pub(super) fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let latest = points.len().checked_sub(MIN_TREND)?;
        let slopes = Slopes::of(points);
        let mut best: Option<(f64, Self)> = None;
        for start in std::iter::once(0).chain(MIN_STILL..=latest) {
            let (still, trend) = points.split_at_checked(start)?;
            let level = median(still.iter().map(|(_, y)| *y)).unwrap_or(0.0);
            let line = Self::through(trend, slopes.median_from(start)?)?;
            let cost = line.residuals.iter().map(|r| r.abs()).sum::<f64>()
                + still.iter().map(|(_, y)| (y - level).abs()).sum::<f64>();
            if best.as_ref().is_none_or(|(least, _)| cost < BETTER * least) {
                best = Some((cost, line));
            }
        }
        best.map(|(_, line)| line.with_spread())
    }

    fn through(points: &[(f64, f64)], b: f64) -> Option<Self> {
        let m = points.len() as f64;
        let a = median(points.iter().map(|(x, y)| y - b * x))?;
        let mean = points.iter().map(|(x, _)| x).sum::<f64>() / m;
        Some(Self {
            a,
            b,
            points: points.len(),
            first: points.first()?.0,
            last: points.last()?.0,
            mean,
            sxx: points.iter().map(|(x, _)| (x - mean) * (x - mean)).sum(),
            residuals: points.iter().map(|(x, y)| y - (a + b * x)).collect(),
            rho: 0.0,
            sd: 0.0,
        })
    }

    fn with_spread(mut self) -> Self {
        let squares: f64 = self.residuals.iter().map(|r| r * r).sum();
        let products: f64 =
            self.residuals.iter().zip(self.residuals.iter().skip(1)).map(|(r, s)| r * s).sum();
        let correlation = if squares > 0.0 { products / squares } else { 0.0 };
        let [least, most] = RHO;
        self.rho = (correlation + 1.5 / self.points as f64).clamp(least, most);
        let robust = ROBUST * MAD * median(self.residuals.iter().map(|r| r.abs())).unwrap_or(0.0);
        let sd = (squares / (self.points as f64 - 2.0)).sqrt();
        self.sd = if robust > 0.0 { sd.min(robust) } else { sd };
        self
    }

    /// Returns the change a day.
    pub(super) fn slope(&self) -> f64 {
        self.b
    }

    pub(super) fn points(&self) -> usize {
        self.points
    }

    /// Returns the line's value so many days after its last day.
    pub(super) fn after(&self, days: f64) -> f64 {
        self.a + self.b * (self.last + days)
    }

    /// Returns the line's value on its first day.
    pub(super) fn begin(&self) -> f64 {
        self.a + self.b * self.first
    }

    /// Returns the standard error of the slope.
    pub(super) fn slope_error(&self) -> f64 {
        self.factor() / self.sxx.sqrt()
    }

    /// Returns the standard error of the line so many days after its last day.
    pub(super) fn error_after(&self, days: f64) -> f64 {
        let away = self.last + days - self.mean;
        self.factor() * (1.0 / self.points as f64 + away * away / self.sxx).sqrt()
    }

    /// Days that resemble the day before carry less information than their number.
    fn factor(&self) -> f64 {
        SLOPE_FACTOR * self.sd * ((1.0 + self.rho) / (1.0 - self.rho)).sqrt()
    }

    /// Returns the residuals towards a side, largest first.
    pub(super) fn peaks(&self, sign: f64) -> Vec<f64> {
        let mut peaks: Vec<f64> = self.residuals.iter().map(|r| sign * r).collect();
        peaks.sort_unstable_by(|r, s| s.total_cmp(r));
        peaks
    }
}

/// The slopes between all pairs of points, in ascending order, each with the number of its earlier point. Sorted once, they give the
/// median slope of every begin.
struct Slopes {
    points: usize,
    sorted: Vec<(f64, usize)>,
}

impl Slopes {
    fn of(points: &[(f64, f64)]) -> Self {
        let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
        for (index, (x, y)) in points.iter().enumerate() {
            slopes.extend(points.iter().skip(index + 1).map(|(later, z)| ((z - y) / (later - x), index)));
        }
        slopes.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
        Self { points: points.len(), sorted: slopes }
    }

    fn median_from(&self, start: usize) -> Option<f64> {
        let trend = self.points.checked_sub(start)?;
        let count = trend * trend.saturating_sub(1) / 2;
        let mut slopes = self.sorted.iter().filter(|(_, index)| *index >= start).map(|(slope, _)| *slope);
        let is_even = count.is_multiple_of(2);
        let middle = slopes.nth(count.checked_sub(1)? / 2)?;
        if is_even { Some(f64::midpoint(middle, slopes.next()?)) } else { Some(middle) }
    }
}
