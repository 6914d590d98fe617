//! Functions of numbers: those of C's library, under its names.

use super::Table;
use crate::ops::{Stop, described, fail};
use crate::value::Value;

/// A function of the input.
macro_rules! one {
    ($name:literal, $f:expr) => {
        ($name, 0, |_, v, _| {
            let f: fn(f64) -> f64 = $f;
            number_of(&v).map(|n| Value::Num(f(n)))
        })
    };
}

/// A function of two arguments.
macro_rules! two {
    ($name:literal, $f:expr) => {
        ($name, 2, |_, _, args| {
            let f: fn(f64, f64) -> f64 = $f;
            Ok(Value::Num(f(number_of(&args[0])?, number_of(&args[1])?)))
        })
    };
}

pub(super) const TABLE: Table = &[
    one!("floor", f64::floor),
    one!("ceil", f64::ceil),
    one!("round", f64::round),
    one!("trunc", f64::trunc),
    one!("rint", f64::round_ties_even),
    one!("nearbyint", f64::round_ties_even),
    one!("fabs", f64::abs),
    one!("sqrt", f64::sqrt),
    one!("cbrt", f64::cbrt),
    one!("exp", f64::exp),
    one!("exp2", f64::exp2),
    one!("exp10", libm::exp10),
    one!("pow10", libm::exp10),
    one!("expm1", f64::exp_m1),
    one!("log", f64::ln),
    one!("log2", f64::log2),
    one!("log10", f64::log10),
    one!("log1p", f64::ln_1p),
    one!("logb", |n| if n == 0.0 {
        f64::NEG_INFINITY
    } else if n.is_infinite() {
        f64::INFINITY
    } else {
        f64::from(libm::ilogb(n))
    }),
    one!("significand", |n| if n == 0.0 || !n.is_finite() { n } else { libm::scalbn(n, -libm::ilogb(n)) }),
    one!("gamma", libm::lgamma),
    one!("lgamma", libm::lgamma),
    one!("tgamma", libm::tgamma),
    one!("erf", libm::erf),
    one!("erfc", libm::erfc),
    one!("j0", libm::j0),
    one!("j1", libm::j1),
    one!("y0", libm::y0),
    one!("y1", libm::y1),
    one!("sin", f64::sin),
    one!("cos", f64::cos),
    one!("tan", f64::tan),
    one!("asin", f64::asin),
    one!("acos", f64::acos),
    one!("atan", f64::atan),
    one!("sinh", f64::sinh),
    one!("cosh", f64::cosh),
    one!("tanh", f64::tanh),
    one!("asinh", f64::asinh),
    one!("acosh", f64::acosh),
    one!("atanh", f64::atanh),
    two!("pow", f64::powf),
    two!("atan2", f64::atan2),
    two!("fmod", |a, b| a % b),
    two!("fmin", f64::min),
    two!("fmax", f64::max),
    two!("fdim", |a, b| if a > b { a - b } else { 0.0 }),
    two!("hypot", f64::hypot),
    two!("copysign", f64::copysign),
    two!("drem", libm::remainder),
    two!("remainder", libm::remainder),
    two!("nextafter", libm::nextafter),
    two!("nexttoward", libm::nextafter),
    two!("ldexp", |a, b| libm::scalbn(a, whole(b))),
    two!("scalb", |a, b| libm::scalbn(a, whole(b))),
    two!("scalbln", |a, b| libm::scalbn(a, whole(b))),
    two!("jn", |n, x| libm::jn(whole(n), x)),
    two!("yn", |n, x| libm::yn(whole(n), x)),
    ("fma", 3, |_, _, args| {
        Ok(Value::Num(number_of(&args[0])?.mul_add(number_of(&args[1])?, number_of(&args[2])?)))
    }),
    ("frexp", 0, |_, v, _| {
        let (mantissa, exponent) = libm::frexp(number_of(&v)?);
        Ok(vec![Value::Num(mantissa), Value::Num(f64::from(exponent))].into())
    }),
    ("modf", 0, |_, v, _| {
        let n = number_of(&v)?;
        let part = if n.is_infinite() { 0.0 } else { n.fract() };
        Ok(vec![Value::Num(part), Value::Num(n.trunc())].into())
    }),
    ("lgamma_r", 0, |_, v, _| {
        let (value, sign) = libm::lgamma_r(number_of(&v)?);
        Ok(vec![Value::Num(value), Value::Num(f64::from(sign))].into())
    }),
    ("infinite", 0, |_, _, _| Ok(Value::Num(f64::INFINITY))),
    ("nan", 0, |_, _, _| Ok(Value::Num(f64::NAN))),
    ("isinfinite", 0, |_, v, _| Ok(number_of(&v)?.is_infinite().into())),
    ("isnan", 0, |_, v, _| Ok(number_of(&v)?.is_nan().into())),
    ("isnormal", 0, |_, v, _| Ok(number_of(&v)?.is_normal().into())),
];

#[allow(clippy::cast_possible_truncation, reason = "it saturates")]
fn whole(n: f64) -> i32 {
    n as i32
}

fn number_of(v: &Value) -> Result<f64, Stop> {
    match v {
        Value::Num(n) => Ok(*n),
        v => fail(format!("{} number required", described(v))),
    }
}
