//! The numbers of `numfmt`: read with their units, rounded and written with others. They are exact, unlike GNU's, which has the
//! same results wherever a long double is exact.

use num_bigint::{BigInt, Sign};

/// A unit system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    None,
    Auto,
    Si,
    Iec,
    IecI,
}

impl Scale {
    fn base(self) -> u32 {
        if matches!(self, Scale::Iec | Scale::IecI) { 1024 } else { 1000 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    Up,
    Down,
    FromZero,
    TowardsZero,
    Nearest,
}

/// A fraction.
#[derive(Clone, Debug)]
pub(super) struct Number {
    above: BigInt,
    below: BigInt,
    /// Places after the point with which it was written.
    pub(super) places: usize,
}

/// What is wrong with a text.
pub(super) enum Wrong {
    Number,
    Suffix,
    Forbidden,
    MissingI,
    TooLarge,
}

const UNITS: &[u8] = b"KMGTPEZY";
/// Digits of a number, beyond which it is refused.
const MOST_DIGITS: usize = 33;
/// Digits of a number that is shown without unit.
const MOST_PLAIN: usize = 18;

/// Reads the number at the beginning of a text; also what is left of it.
pub(super) fn read(text: &[u8], scale: Scale) -> Result<(Number, &[u8]), Wrong> {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let count = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = count(digits);
    let mut end = whole;
    let mut places = 0;
    if digits.get(end) == Some(&b'.') {
        places = count(&digits[end + 1..]);
        if places == 0 {
            return Err(Wrong::Number);
        }
        end += 1 + places;
    }
    if whole == 0 && places == 0 {
        return Err(Wrong::Number);
    }
    let significant = digits[..whole].iter().skip_while(|b| **b == b'0').count();
    if significant > MOST_DIGITS || places > MOST_DIGITS {
        return Err(Wrong::TooLarge);
    }
    let all: Vec<u8> = digits[..end].iter().copied().filter(u8::is_ascii_digit).collect();
    let size = BigInt::parse_bytes(&all, 10).ok_or(Wrong::Number)?;
    let above = if negative { -size } else { size };
    let mut number = Number { above, below: BigInt::from(10).pow(places as u32), places };
    let mut rest = &digits[end..];
    if rest.is_empty() {
        return Ok((number, rest));
    }
    let blanks = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    rest = &rest[blanks..];
    let power = rest.first().and_then(|b| UNITS.iter().position(|unit| unit == b));
    let Some(power) = power else {
        return Err(Wrong::Suffix);
    };
    if scale == Scale::None {
        return Err(Wrong::Forbidden);
    }
    rest = &rest[1..];
    let mut base = scale.base();
    if scale == Scale::Auto && rest.first() == Some(&b'i') {
        rest = &rest[1..];
        base = 1024;
    }
    if scale == Scale::IecI {
        rest = rest.strip_prefix(b"i").ok_or(Wrong::MissingI)?;
    }
    number.above *= BigInt::from(base).pow(power as u32 + 1);
    number.places = 0;
    Ok((number, rest))
}

impl Number {
    /// Multiplied and divided.
    pub(super) fn scaled(mut self, from: u64, to: u64) -> Number {
        self.above *= from;
        self.below *= to;
        self
    }

    fn is_negative(&self) -> bool {
        self.above.sign() == Sign::Minus
    }

    /// The number times 10 to a power and over a divisor, as a whole number.
    fn rounded(&self, places: usize, divisor: &BigInt, round: Round) -> BigInt {
        let above = &self.above * BigInt::from(10).pow(places as u32);
        let below = &self.below * divisor;
        let (whole, rest) = (&above / &below, &above % &below);
        if rest == BigInt::ZERO {
            return whole;
        }
        let away = match round {
            Round::Up => !self.is_negative(),
            Round::Down => self.is_negative(),
            Round::FromZero => true,
            Round::TowardsZero => false,
            Round::Nearest => {
                let double: BigInt = rest * 2;
                let size = if self.is_negative() { -double } else { double };
                size >= below
            }
        };
        match (away, self.is_negative()) {
            (false, _) => whole,
            (true, false) => whole + 1,
            (true, true) => whole - 1,
        }
    }

    /// The number in digits, with a unit if there is a scale; none if it is too large for it.
    pub(super) fn text(&self, scale: Scale, precision: Option<usize>, round: Round) -> Option<String> {
        if scale == Scale::None {
            let places = precision.unwrap_or(self.places);
            let digits = self.rounded(places, &BigInt::from(1), round);
            if digits.to_string().trim_start_matches('-').len() > MOST_PLAIN {
                return None;
            }
            return Some(decimal(&digits, places, self.is_negative()));
        }
        let base = BigInt::from(scale.base());
        let size = |n: &BigInt| if n.sign() == Sign::Minus { -n } else { n.clone() };
        let above = size(&self.above);
        let (mut power, mut divisor) = (0_usize, BigInt::from(1));
        while above >= &self.below * &divisor * &base {
            power += 1;
            divisor *= &base;
        }
        let small = above < &self.below * &divisor * 10;
        let adjust = match precision {
            Some(precision) => precision.min(power * 3),
            None => usize::from(small),
        };
        let mut digits = self.rounded(adjust, &divisor, round);
        let one = BigInt::from(10).pow(adjust as u32);
        if size(&digits) >= &base * &one {
            power += 1;
            // What is as large as the next unit is one of it.
            digits = &digits / &base;
        }
        if power > UNITS.len() {
            return None;
        }
        let point = digits != BigInt::ZERO && size(&digits) < &one * 10 && power > 0;
        let places = precision.unwrap_or(usize::from(point));
        let shown = if places >= adjust {
            digits * BigInt::from(10).pow((places - adjust) as u32)
        } else {
            half_even(&digits, &BigInt::from(10).pow((adjust - places) as u32))
        };
        let mut out = decimal(&shown, places, self.is_negative());
        if let Some(unit) = power.checked_sub(1).and_then(|at| UNITS.get(at)) {
            out.push(char::from(*unit));
            if scale == Scale::IecI {
                out.push('i');
            }
        }
        Some(out)
    }

    /// About how large it is, for messages.
    pub(super) fn about(&self) -> f64 {
        let float = |n: &BigInt| n.to_string().parse::<f64>().unwrap_or(f64::INFINITY);
        float(&self.above) / float(&self.below)
    }
}

/// As printf(3) rounds what is in the middle.
fn half_even(digits: &BigInt, divisor: &BigInt) -> BigInt {
    let (whole, rest): (BigInt, BigInt) = (digits / divisor, digits % divisor);
    let double: BigInt = rest * 2;
    let size = if double.sign() == Sign::Minus { -&double } else { double.clone() };
    let odd = &whole % 2 != BigInt::ZERO;
    if size > *divisor || (size == *divisor && odd) {
        if double.sign() == Sign::Minus { whole - 1 } else { whole + 1 }
    } else {
        whole
    }
}

fn decimal(digits: &BigInt, places: usize, negative: bool) -> String {
    let text = digits.to_string();
    let text = text.trim_start_matches('-');
    let text = format!("{text:0>width$}", width = places + 1);
    let (whole, fraction) = text.split_at(text.len() - places);
    let sign = if negative { "-" } else { "" };
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
