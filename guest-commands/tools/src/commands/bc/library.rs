//! The functions of bc's library: exponential, logarithm, sine, cosine, arc tangent, Bessel. Each is reckoned with more
//! digits than asked for and then cut, so that the digits that are shown are true.

use super::number::{Fault, Number, ten};
use num_bigint::{BigInt, Sign};

/// Digits beyond the wanted ones.
const GUARD: usize = 12;
/// More decimal digits before the point than this are not reckoned.
const MOST: i64 = 1_000_000;

/// A number times `10^p`, and such numbers multiplied and divided.
struct Fixed {
    p: usize,
    one: BigInt,
}

impl Fixed {
    fn new(p: usize) -> Fixed {
        Fixed { p, one: ten(p) }
    }

    fn mul(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * b / &self.one
    }

    fn div(&self, a: &BigInt, b: &BigInt) -> BigInt {
        a * &self.one / b
    }

    fn root(&self, a: &BigInt) -> BigInt {
        (a * &self.one).sqrt()
    }

    fn cut(&self, value: BigInt, scale: usize) -> Number {
        Number { value, scale: self.p }.with_scale(scale)
    }

    /// The sum of `first` and of what `step` makes of each term, until that is nothing.
    fn series(&self, first: BigInt, mut step: impl FnMut(&BigInt, i64) -> BigInt) -> BigInt {
        let (mut sum, mut term) = (first.clone(), first);
        for n in 1.. {
            term = step(&term, n);
            if term.sign() == Sign::NoSign {
                break;
            }
            sum += &term;
        }
        sum
    }

    /// arctan(1/n), for π.
    fn arctan_of_inverse(&self, n: i64) -> BigInt {
        let mut power = &self.one / n;
        let mut sum = power.clone();
        for k in 1.. {
            power = -power / (n * n);
            if power.sign() == Sign::NoSign {
                break;
            }
            sum += &power / (2 * k + 1);
        }
        sum
    }

    fn pi(&self) -> BigInt {
        (self.arctan_of_inverse(5) * 4 - self.arctan_of_inverse(239)) * 4
    }

    /// arctan of a fraction below 1.
    fn arctan(&self, x: &BigInt) -> BigInt {
        let mut x = x.clone();
        // Halving the angle makes the series short.
        for _ in 0..6 {
            let root = self.root(&(&self.one + self.mul(&x, &x)));
            x = self.div(&x, &(&self.one + root));
        }
        let square = self.mul(&x, &x);
        let mut power = x.clone();
        let mut sum = x;
        for k in 1.. {
            power = -self.mul(&power, &square);
            if power.sign() == Sign::NoSign {
                break;
            }
            sum += &power / (2 * k + 1);
        }
        sum * 64
    }
}

fn digits_before_point(x: &Number) -> usize {
    x.at(0).magnitude().to_string().len()
}

/// `e(x)`.
pub(crate) fn exp(x: &Number, scale: usize) -> Result<Number, Fault> {
    // The result has x / ln 10 digits before the point.
    let size = x.to_i64().filter(|n| n.abs() < MOST).ok_or(Fault::ExponentTooLarge);
    let size = match size {
        Ok(size) => size,
        Err(_) if x.value.sign() == Sign::Minus => return Ok(Number { value: BigInt::ZERO, scale }),
        Err(fault) => return Err(fault),
    };
    let whole = usize::try_from(size.max(0)).unwrap_or(0) * 44 / 100 + 1;
    let halvings = 64 - size.unsigned_abs().leading_zeros() as usize + 8;
    let f = Fixed::new(scale + whole + GUARD + halvings);
    let small = x.at(f.p) / (BigInt::from(1) << halvings);
    let mut value = f.series(f.one.clone(), |term, n| f.mul(term, &small) / n);
    for _ in 0..halvings {
        value = f.mul(&value, &value);
    }
    Ok(f.cut(value, scale))
}

/// `l(x)`.
pub(crate) fn ln(x: &Number, scale: usize) -> Number {
    if x.value.sign() != Sign::Plus {
        // As the library of bc answers what has no answer.
        return Number { value: (BigInt::from(1) - ten(scale)) * ten(scale), scale };
    }
    let f = Fixed::new(scale + digits_before_point(x) + x.scale + GUARD + 12);
    let mut value = x.at(f.p);
    let mut roots = 0_usize;
    let near = (&f.one * 9 / 10, &f.one * 11 / 10);
    while value < near.0 || value > near.1 {
        value = f.root(&value);
        roots += 1;
    }
    let y = f.div(&(&value - &f.one), &(&value + &f.one));
    let square = f.mul(&y, &y);
    let mut power = y.clone();
    let mut sum = y;
    for k in 1.. {
        power = f.mul(&power, &square);
        if power.sign() == Sign::NoSign {
            break;
        }
        sum += &power / (2 * k + 1);
    }
    f.cut(sum << (roots + 1), scale)
}

/// Sine and cosine.
fn circle(x: &Number, scale: usize) -> (BigInt, BigInt, Fixed) {
    let f = Fixed::new(scale + digits_before_point(x) + GUARD);
    let full = f.pi() * 2;
    let angle = (x.at(f.p) % &full) / 16;
    let square = f.mul(&angle, &angle);
    let mut sine = f.series(angle, |term, n| -f.mul(term, &square) / (2 * n * (2 * n + 1)));
    let mut cosine = f.series(f.one.clone(), |term, n| -f.mul(term, &square) / (2 * n * (2 * n - 1)));
    // The angle doubled four times.
    for _ in 0..4 {
        let new = f.mul(&sine, &cosine) * 2;
        cosine = &f.one - f.mul(&sine, &sine) * 2;
        sine = new;
    }
    (sine, cosine, f)
}

/// `s(x)`.
pub(crate) fn sin(x: &Number, scale: usize) -> Number {
    let (sine, _, f) = circle(x, scale);
    f.cut(sine, scale)
}

/// `c(x)`.
pub(crate) fn cos(x: &Number, scale: usize) -> Number {
    let (_, cosine, f) = circle(x, scale);
    f.cut(cosine, scale)
}

/// `a(x)`.
pub(crate) fn atan(x: &Number, scale: usize) -> Number {
    let f = Fixed::new(scale + GUARD);
    let value = x.at(f.p);
    let size = BigInt::from(value.magnitude().clone());
    let angle = if size <= f.one {
        f.arctan(&size)
    } else {
        // The angle beyond 45 degrees is what is missing to 90.
        let wide = Fixed::new(f.p + digits_before_point(x));
        let inverse = wide.div(&wide.one, &BigInt::from(x.at(wide.p).magnitude().clone()));
        (wide.pi() / 2 - wide.arctan(&inverse)) / ten(wide.p - f.p)
    };
    f.cut(if value.sign() == Sign::Minus { -angle } else { angle }, scale)
}

/// `j(n, x)`, the Bessel function of whole order.
pub(crate) fn bessel(order: &Number, x: &Number, scale: usize) -> Result<Number, Fault> {
    let n = order.to_i64().filter(|n| n.abs() < MOST).ok_or(Fault::ExponentTooLarge)?;
    let size = x.to_i64().filter(|n| n.abs() < MOST).ok_or(Fault::ExponentTooLarge)?;
    // The terms grow like e^x before they fall.
    let f = Fixed::new(scale + usize::try_from(size.abs()).unwrap_or(0) + GUARD);
    let half = x.at(f.p) / 2;
    let square = f.mul(&half, &half);
    let m = n.abs();
    let mut first = f.one.clone();
    for k in 1..=m {
        first = f.mul(&first, &half) / k;
    }
    let sum = f.series(first, |term, k| -f.mul(term, &square) / (k * (k + m)));
    // The function of a negative order differs by its sign, if the order is odd.
    Ok(f.cut(if n < 0 && m % 2 == 1 { -sum } else { sum }, scale))
}

#[cfg(test)]
mod tests {
    use super::{Number, atan, bessel, cos, exp, ln, sin};
    use num_bigint::BigInt;

    #[test]
    fn digits_are_true() {
        let n = |text: &str| Number::read(text.as_bytes(), 10);
        let show = |n: Number| n.text(&BigInt::from(10));
        assert_eq!(show(exp(&n("1"), 20).unwrap()), "2.71828182845904523536");
        assert_eq!(show(exp(&n("3.5").negated(), 20).unwrap()), ".03019738342231850073");
        assert_eq!(show(ln(&n("2"), 20)), ".69314718055994530941");
        assert_eq!(show(sin(&n("1"), 20)), ".84147098480789650665");
        assert_eq!(show(cos(&n("1"), 20)), ".54030230586813971740");
        assert_eq!(show(atan(&n("1"), 20)), ".78539816339744830961");
        assert_eq!(show(atan(&n("1000"), 10)), "1.5697963271");
        assert_eq!(show(bessel(&n("0"), &n("1"), 20).unwrap()), ".76519768655796655144");
    }
}
