//! Floating-point numbers as printf(3) writes them: `%e`, `%f`, `%g`, `%a`. It reads no numbers and no formats of other things.

/// A conversion with its flags.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spec {
    pub(crate) left: bool,
    pub(crate) plus: bool,
    pub(crate) blank: bool,
    pub(crate) point: bool,
    pub(crate) zeros: bool,
    pub(crate) width: usize,
    pub(crate) precision: Option<usize>,
    /// One of `efgaEFGA`.
    pub(crate) conversion: u8,
}

/// Wider or more precise than this is no number that a program means.
pub(crate) const MOST: usize = 1 << 20;

impl Spec {
    /// Writes a number.
    pub(crate) fn write(&self, value: f64) -> String {
        let body = self.body(value.abs());
        let body = if self.conversion.is_ascii_uppercase() { body.to_ascii_uppercase() } else { body };
        self.fill(value.is_sign_negative() && !value.is_nan(), &body, value.is_finite())
    }

    /// Puts sign and width to digits that are there already.
    pub(crate) fn fill(&self, negative: bool, body: &str, finite: bool) -> String {
        let sign = match (negative, self.plus, self.blank) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let missing = self.width.min(MOST).saturating_sub(sign.len() + body.len());
        if self.left {
            format!("{sign}{body}{}", " ".repeat(missing))
        } else if self.zeros && finite {
            let (prefix, digits) =
                if body.starts_with("0x") || body.starts_with("0X") { body.split_at(2) } else { ("", body) };
            format!("{sign}{prefix}{}{digits}", "0".repeat(missing))
        } else {
            format!("{}{sign}{body}", " ".repeat(missing))
        }
    }

    fn body(&self, value: f64) -> String {
        if value.is_nan() {
            return "nan".to_owned();
        }
        if value.is_infinite() {
            return "inf".to_owned();
        }
        let precision = self.precision.unwrap_or(6).min(MOST);
        match self.conversion.to_ascii_lowercase() {
            b'f' => self.pointed(format!("{value:.precision$}")),
            b'e' => self.exponential(value, precision),
            b'a' => self.hexadecimal(value),
            _ => {
                let precision = precision.max(1);
                let shown = format!("{value:.*e}", precision - 1);
                let exponent: i32 = shown.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0);
                if exponent < -4 || exponent >= precision as i32 {
                    let text = self.exponential(value, precision - 1);
                    let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
                    format!("{}e{power}", self.trimmed(digits))
                } else {
                    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
                    self.trimmed(&self.pointed(format!("{value:.decimals$}")))
                }
            }
        }
    }

    fn pointed(&self, mut digits: String) -> String {
        if self.point && !digits.contains('.') {
            digits.push('.');
        }
        digits
    }

    fn trimmed(&self, digits: &str) -> String {
        if self.point || !digits.contains('.') {
            return digits.to_owned();
        }
        digits.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn exponential(&self, value: f64, precision: usize) -> String {
        let shown = format!("{value:.precision$e}");
        let (digits, power) = shown.split_once('e').unwrap_or((&shown, "0"));
        let power: i32 = power.parse().unwrap_or(0);
        let sign = if power < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", self.pointed(digits.to_owned()), power.abs())
    }

    /// As long doubles are written: the first digit has all four of its bits.
    fn hexadecimal(&self, value: f64) -> String {
        if value == 0.0 {
            let zeros = "0".repeat(self.precision.unwrap_or(0).min(MOST));
            let point = if zeros.is_empty() && !self.point { "" } else { "." };
            return format!("0x0{point}{zeros}p+0");
        }
        let bits = value.to_bits();
        let (mut exponent, mut digits) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        if exponent == 0 {
            exponent = 1;
        } else {
            digits |= 1 << 52;
        }
        let shift = digits.leading_zeros();
        let mut digits = u128::from(digits << shift);
        exponent = exponent - 1023 - 52 - shift as i32 + 60;
        let mut count = 15;
        if let Some(precision) = self.precision.filter(|precision| *precision < 15) {
            let drop = (15 - precision) * 4;
            let rest = digits & ((1 << drop) - 1);
            digits >>= drop;
            let half = 1_u128 << (drop - 1);
            if rest > half || (rest == half && digits & 1 == 1) {
                digits += 1;
            }
            if digits >> (precision * 4 + 4) > 0 {
                digits >>= 1;
                exponent += 1;
            }
            count = precision;
        }
        let text = format!("{digits:x}");
        let (first, rest) = text.split_at(text.len() - count);
        let mut rest = rest.to_owned();
        match self.precision {
            Some(precision) => {
                rest.extend(std::iter::repeat_n('0', precision.min(MOST).saturating_sub(count)))
            }
            None => rest.truncate(rest.trim_end_matches('0').len()),
        }
        let point = if rest.is_empty() && !self.point { "" } else { "." };
        format!("0x{first}{point}{rest}p{exponent:+}")
    }
}

#[cfg(test)]
mod tests {
    use super::Spec;

    #[test]
    fn numbers_are_written_as_by_printf() {
        let spec = |conversion, precision| Spec { conversion, precision, ..Spec::default() };
        for (conversion, precision, value, wanted) in [
            (b'f', None, 1.5, "1.500000"),
            (b'e', Some(2), 12345.678, "1.23e+04"),
            (b'g', None, 100_000.0, "100000"),
            (b'g', None, 1_000_000.0, "1e+06"),
            (b'g', None, 0.0001, "0.0001"),
            (b'G', None, 1e-10, "1E-10"),
            (b'a', None, 1.0, "0x8p-3"),
            (b'a', None, 0.1, "0xc.cccccccccccdp-7"),
            (b'f', Some(0), -0.5, "-0"),
        ] {
            assert_eq!(spec(conversion, precision).write(value), wanted);
        }
        let wide = Spec { zeros: true, width: 8, conversion: b'f', precision: Some(1), ..Spec::default() };
        assert_eq!(wide.write(-2.5), "-00002.5");
    }
}
