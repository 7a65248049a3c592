//! Exact decimal numbers: compared and rounded without a binary float.

use crate::sql::Decimal;

/// The digits that a double keeps.
const DOUBLE_DIGITS: u32 = 15;

/// An exact number: `unscaled * 10^-scale`, without trailing zeros, so that equal numbers are equal fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exact {
    unscaled: i128,
    scale: i32,
}

impl Exact {
    /// Reads a decimal; `None` beyond 38 digits.
    pub(super) fn of(decimal: &Decimal) -> Option<Self> {
        let text = decimal.as_str();
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let unscaled = text.replace('.', "").parse().ok()?;
        Some(Self { unscaled, scale: i32::try_from(fraction.len()).ok()? }.canonical())
    }

    /// Reads digits with at most one point and a leading minus; `None` for any other form, and beyond 18 digits. A double with
    /// more than 15 digits may be another number than its text.
    pub(super) fn plain(bytes: &[u8], is_double: bool) -> Option<Self> {
        let (sign, digits) = bytes.strip_prefix(b"-").map_or((1, bytes), |rest| (-1, rest));
        let (mut unscaled, mut scale, mut count) = (0_i128, None, 0);
        for byte in digits {
            match byte {
                b'0'..=b'9' => {
                    unscaled = unscaled * 10 + i128::from(byte - b'0');
                    count += 1;
                    scale = scale.map(|scale| scale + 1);
                }
                b'.' if scale.is_none() => scale = Some(0),
                _ => return None,
            }
        }
        let fits = (1..=if is_double { 15 } else { 18 }).contains(&count);
        fits.then(|| Self { unscaled: sign * unscaled, scale: scale.unwrap_or(0) }.canonical())
    }

    /// Returns bytes that are the same for equal numbers only.
    pub(super) fn bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        let parts = self.unscaled.to_le_bytes().into_iter().chain(self.scale.to_le_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }

    fn canonical(mut self) -> Self {
        if self.unscaled == 0 {
            return Self { unscaled: 0, scale: 0 };
        }
        while self.unscaled % 10 == 0 {
            self = Self { unscaled: self.unscaled / 10, scale: self.scale - 1 };
        }
        self
    }

    pub(super) fn is_zero(self) -> bool {
        self.unscaled == 0
    }

    /// Drops so many digits at the end, half away from zero.
    fn without_digits(self, drop: u32) -> Self {
        let Some(unit) = 10_i128.checked_pow(drop) else { return Self { unscaled: 0, scale: 0 } };
        let half = self.unscaled.signum() * (unit / 2);
        let unscaled = self.unscaled.saturating_add(half) / unit;
        Self { unscaled, scale: self.scale.saturating_sub_unsigned(drop) }.canonical()
    }

    /// Rounds to so many decimals, half away from zero, as a form on the screen does.
    pub(super) fn rounded(self, decimals: u32) -> Self {
        let beyond = i64::from(self.scale) - i64::from(decimals);
        u32::try_from(beyond).map_or(self, |beyond| self.without_digits(beyond))
    }

    /// Rounds to the digits that a double keeps.
    fn as_double(self) -> Self {
        let digits = self.unscaled.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
        self.without_digits(digits.saturating_sub(DOUBLE_DIGITS))
    }

    /// Returns whether both have the same first digits, as many as a double keeps.
    pub(super) fn same_double(self, other: Self) -> bool {
        self.as_double() == other.as_double()
    }

    /// Returns whether they differ by less than half a unit of the last of so many decimals.
    pub(super) fn within_half_unit(self, other: Self, decimals: u32) -> bool {
        let places = i64::from(self.scale.max(other.scale)).max(i64::from(decimals) + 1);
        let at = |number: Self| {
            let shift = u32::try_from(places - i64::from(number.scale)).ok()?;
            number.unscaled.checked_mul(10_i128.checked_pow(shift)?)
        };
        let half = u32::try_from(places - i64::from(decimals) - 1).ok().and_then(|n| 10_i128.checked_pow(n));
        let (Some(a), Some(b), Some(half)) = (at(self), at(other), half) else { return false };
        a.checked_sub(b).is_some_and(|difference| difference.abs() < 5 * half)
    }
}
