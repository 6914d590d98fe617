//! Decimal numbers of any length with a scale, as bc and dc reckon with them: results are cut, never rounded. The functions
//! of bc's library are in `library`.

use num_bigint::{BigInt, Sign};
use std::cmp::Ordering;

/// `value / 10^scale`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Number {
    pub(crate) value: BigInt,
    pub(crate) scale: usize,
}

/// Digits that a result may have: more than anybody waits for, and less than a machine's memory.
const MOST_DIGITS: u64 = 20_000_000;

/// Why there is no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    DivideByZero,
    NegativeRoot,
    ExponentTooLarge,
}

/// `10^n`.
pub(crate) fn ten(n: usize) -> BigInt {
    BigInt::from(10).pow(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Number {
    pub(crate) fn zero() -> Number {
        Number::default()
    }

    /// A whole number.
    pub(crate) fn from(n: i64) -> Number {
        Number { value: BigInt::from(n), scale: 0 }
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.value.sign() == Sign::NoSign
    }

    /// The value for this scale: digits are cut off, or zeros added.
    pub(crate) fn at(&self, scale: usize) -> BigInt {
        match scale.cmp(&self.scale) {
            Ordering::Equal => self.value.clone(),
            Ordering::Greater => &self.value * ten(scale - self.scale),
            Ordering::Less => &self.value / ten(self.scale - scale),
        }
    }

    pub(crate) fn with_scale(&self, scale: usize) -> Number {
        Number { value: self.at(scale), scale }
    }

    /// The whole part, if it fits.
    pub(crate) fn to_i64(&self) -> Option<i64> {
        i64::try_from(&self.at(0)).ok()
    }

    pub(crate) fn negated(mut self) -> Number {
        self.value = -self.value;
        self
    }

    pub(crate) fn add(&self, other: &Number) -> Number {
        let scale = self.scale.max(other.scale);
        Number { value: self.at(scale) + other.at(scale), scale }
    }

    pub(crate) fn subtract(&self, other: &Number) -> Number {
        let scale = self.scale.max(other.scale);
        Number { value: self.at(scale) - other.at(scale), scale }
    }

    pub(crate) fn multiply(&self, other: &Number, scale: usize) -> Number {
        let exact = Number { value: &self.value * &other.value, scale: self.scale + other.scale };
        let wanted = exact.scale.min(scale.max(self.scale).max(other.scale));
        exact.with_scale(wanted)
    }

    pub(crate) fn divide(&self, other: &Number, scale: usize) -> Result<Number, Fault> {
        if other.is_zero() {
            return Err(Fault::DivideByZero);
        }
        // Division of integers cuts towards zero, as it must.
        let up = scale + other.scale;
        let value = if up >= self.scale {
            &self.value * ten(up - self.scale) / &other.value
        } else {
            &self.value / (&other.value * ten(self.scale - up))
        };
        Ok(Number { value, scale })
    }

    pub(crate) fn remainder(&self, other: &Number, scale: usize) -> Result<Number, Fault> {
        Ok(self.divide_with_remainder(other, scale)?.1)
    }

    /// The quotient with this scale, and what remains.
    pub(crate) fn divide_with_remainder(
        &self,
        other: &Number,
        scale: usize,
    ) -> Result<(Number, Number), Fault> {
        let quotient = self.divide(other, scale)?;
        let wanted = self.scale.max(other.scale + scale);
        let product = Number { value: &quotient.value * &other.value, scale: quotient.scale + other.scale };
        let rest = Number { value: self.at(wanted) - product.at(wanted), scale: wanted };
        Ok((quotient, rest))
    }

    pub(crate) fn power(&self, exponent: &Number, scale: usize) -> Result<Number, Fault> {
        let exponent =
            exponent.to_i64().filter(|e| e.unsigned_abs() < 1 << 31).ok_or(Fault::ExponentTooLarge)?;
        if exponent == 0 {
            return Ok(Number::from(1));
        }
        let count = u32::try_from(exponent.unsigned_abs()).map_err(|_| Fault::ExponentTooLarge)?;
        if self.value.magnitude() > &1_u32.into() {
            let digits = self.value.bits().saturating_mul(u64::from(count)) / 3;
            if digits > MOST_DIGITS {
                return Err(Fault::ExponentTooLarge);
            }
        }
        let exact_scale = self.scale.saturating_mul(count as usize);
        if exact_scale as u64 > MOST_DIGITS {
            return Err(Fault::ExponentTooLarge);
        }
        let exact = Number { value: self.value.pow(count), scale: exact_scale };
        if exponent < 0 {
            return Number::from(1).divide(&exact, scale);
        }
        Ok(exact.with_scale(exact_scale.min(scale.max(self.scale))))
    }

    pub(crate) fn root(&self, scale: usize) -> Result<Number, Fault> {
        if self.value.sign() == Sign::Minus {
            return Err(Fault::NegativeRoot);
        }
        let scale = scale.max(self.scale);
        Ok(Number { value: self.at(scale * 2).sqrt(), scale })
    }

    pub(crate) fn compare(&self, other: &Number) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.at(scale).cmp(&other.at(scale))
    }

    /// All digits that count: `123.450` has six, 0 has one.
    pub(crate) fn digits(&self) -> usize {
        let whole = self.value.magnitude().to_string().len();
        if self.is_zero() { self.scale.max(1) } else { whole.max(self.scale) }
    }

    /// Reads digits of a base with an optional point. A digit too great for the base counts as the greatest, but alone.
    pub(crate) fn read(text: &[u8], base: u32) -> Number {
        let point = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
        let (whole, fraction) = (&text[..point], text.get(point + 1..).unwrap_or_default());
        let alone = whole.len() + fraction.len() == 1;
        let digit = |b: &u8| {
            let value = char::from(*b).to_digit(36).unwrap_or(0);
            if alone { value } else { value.min(base - 1) }
        };
        if base == 10 && text.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
            let all = [whole, fraction].concat();
            let value = BigInt::parse_bytes(&all, 10).unwrap_or_default();
            return Number { value, scale: fraction.len() };
        }
        let fold = |digits: &[u8]| digits.iter().fold(BigInt::ZERO, |n, d| n * base + digit(d));
        let value = fold(whole);
        if fraction.is_empty() {
            return Number { value, scale: 0 };
        }
        let scale = fraction.len();
        let below = BigInt::from(base).pow(u32::try_from(scale).unwrap_or(u32::MAX));
        let part = fold(fraction) * ten(scale) / below;
        Number { value: value * ten(scale) + part, scale }
    }

    /// The number in a base from 2 on, as bc and dc write it: no zero before the point, digits beyond 16 as decimal numbers
    /// of the same width, each after a blank.
    pub(crate) fn text(&self, base: &BigInt) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let mut out = String::new();
        if self.value.sign() == Sign::Minus {
            out.push('-');
        }
        let magnitude = BigInt::from(self.value.magnitude().clone());
        if base == &BigInt::from(10) {
            let digits = magnitude.to_string();
            if digits.len() > self.scale {
                out += &digits[..digits.len() - self.scale];
            }
            if self.scale > 0 {
                out.push('.');
                out.extend(std::iter::repeat_n('0', self.scale.saturating_sub(digits.len())));
                out += &digits[digits.len().saturating_sub(self.scale)..];
            }
            return out;
        }
        let unit = ten(self.scale);
        let (whole, mut fraction) = (&magnitude / &unit, &magnitude % &unit);
        let small = u32::try_from(base).ok().filter(|b| *b <= 16);
        let width = width(base);
        if whole.sign() != Sign::NoSign {
            match small {
                Some(base) => out += &whole.to_str_radix(base).to_ascii_uppercase(),
                None => {
                    let mut digits = Vec::new();
                    let mut rest = whole;
                    while rest.sign() != Sign::NoSign {
                        digits.push(&rest % base);
                        rest /= base;
                    }
                    for digit in digits.iter().rev() {
                        out += &format!(" {digit:0>width$}", digit = digit.to_string());
                    }
                }
            }
        }
        if self.scale > 0 {
            out.push('.');
            // As many digits as tell `scale` decimal ones apart.
            let mut reach = BigInt::from(1);
            let mut first = true;
            while reach < unit {
                fraction *= base;
                let digit = &fraction / &unit;
                fraction %= &unit;
                match small {
                    Some(_) => out += &digit.to_str_radix(16).to_ascii_uppercase(),
                    None => {
                        let blank = if first { "" } else { " " };
                        out += &format!("{blank}{digit:0>width$}", digit = digit.to_string());
                    }
                }
                first = false;
                reach *= base;
            }
        }
        out
    }
}

/// How many decimal digits a digit of the base needs.
fn width(base: &BigInt) -> usize {
    (base - 1_u32).to_string().len()
}

#[cfg(test)]
mod tests {
    use super::{BigInt, Number};

    #[test]
    fn numbers_are_cut() {
        let n = |text: &str| Number::read(text.as_bytes(), 10);
        let show = |n: Number| n.text(&BigInt::from(10));
        assert_eq!(show(n("2").divide(&n("3"), 3).unwrap()), ".666");
        assert_eq!(show(n("7").negated().divide(&n("2"), 0).unwrap()), "-3");
        assert_eq!(show(n("1.005").multiply(&n("1.23"), 2)), "1.236");
        assert_eq!(show(n("1.5").power(&n("3"), 2).unwrap()), "3.37");
        assert_eq!(show(n("7").remainder(&n("3.1"), 2).unwrap()), ".025");
        assert_eq!(Number::read(b"399.5", 10).text(&BigInt::from(20)), " 19 19.10");
        assert_eq!(Number::read(b"A.8", 16).text(&BigInt::from(10)), "10.5");
    }
}
