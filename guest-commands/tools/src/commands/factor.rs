//! `factor`: prime factors of numbers. What has more than 64 bits is left to upstream's command.

use crate::context::{Cx, Descriptor, End, Outcome};
use crate::options::Order;
use crate::os::{OsStrExt, os};
use crate::quote::quote;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};

const HELP: &str = "{} [NUMBER]...
Print the prime factors of each specified integer NUMBER; without one, of those read from standard input.";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = cx.parse(&[], args, Order::Permute, HELP)?;
    for word in &parsed.operands {
        one(cx, word.as_bytes())?;
    }
    if !parsed.operands.is_empty() {
        return Ok(0);
    }
    let mut input = BufReader::new(Descriptor(0));
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line longer than any number is no use to anybody.
        let n = std::io::Read::take(&mut input, 1 << 20).read_until(b'\n', &mut line).map_err(|error| {
            End::Failure(1, format!("error reading input: {}", agentos_guest::strerror(&error)))
        })?;
        if n == 0 {
            return Ok(0);
        }
        for word in line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            one(cx, word)?;
        }
    }
}

fn one(cx: &mut Cx, word: &[u8]) -> Result<(), End> {
    let text = word.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let Some(text) = std::str::from_utf8(digits).ok().filter(|_| valid) else {
        cx.warn(format_args!("{} is not a valid positive integer", quote(os(word))));
        return Ok(());
    };
    let Ok(number) = text.parse::<u64>() else {
        cx.flush()?;
        let status = uu_factor::uumain(["factor", text].into_iter().map(OsString::from));
        cx.status = cx.status.max(status);
        return Ok(());
    };
    let mut factors = Vec::new();
    split(number, &mut factors);
    factors.sort_unstable();
    cx.print(format_args!("{number}:"))?;
    for factor in factors {
        cx.print(format_args!(" {factor}"))?;
    }
    cx.put(b"\n")
}

/// Takes small factors by division, the others by Pollard's rho.
fn split(mut number: u64, out: &mut Vec<u64>) {
    if number < 2 {
        return;
    }
    for small in 2..1000 {
        if small * small > number {
            break;
        }
        while number.is_multiple_of(small) {
            out.push(small);
            number /= small;
        }
    }
    let mut rest = vec![number];
    while let Some(number) = rest.pop() {
        if number == 1 {
            continue;
        }
        if is_prime(number) {
            out.push(number);
        } else {
            let divisor = divisor(number);
            rest.extend([divisor, number / divisor]);
        }
    }
}

fn multiply(a: u64, b: u64, modulus: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(modulus)) as u64
}

/// The test of Miller and Rabin with bases that leave no doubt below 2^64.
fn is_prime(number: u64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    if number < 2 {
        return false;
    }
    if let Some(small) = BASES.iter().find(|small| number.is_multiple_of(**small)) {
        return number == *small;
    }
    let twos = (number - 1).trailing_zeros();
    let odd = (number - 1) >> twos;
    BASES.iter().all(|base| {
        let (mut power, mut square, mut left) = (1, *base, odd);
        while left > 0 {
            if left & 1 == 1 {
                power = multiply(power, square, number);
            }
            square = multiply(square, square, number);
            left >>= 1;
        }
        if power == 1 || power == number - 1 {
            return true;
        }
        (1..twos).any(|_| {
            power = multiply(power, power, number);
            power == number - 1
        })
    })
}

/// A divisor of a number that has one.
fn divisor(number: u64) -> u64 {
    let root = number.isqrt();
    if root * root == number {
        return root;
    }
    for step in 1_u64.. {
        let next = |x: u64| ((u128::from(x) * u128::from(x) + u128::from(step)) % u128::from(number)) as u64;
        let (mut slow, mut fast, mut product) = (2, 2, 1_u64);
        loop {
            let before = (slow, fast);
            for _ in 0..128 {
                slow = next(slow);
                fast = next(next(fast));
                product = multiply(product, slow.abs_diff(fast), number);
            }
            let found = gcd(product, number);
            if found == 1 {
                continue;
            }
            if found < number {
                return found;
            }
            // Several at once: again, one step at a time.
            let (mut slow, mut fast) = before;
            let found = loop {
                slow = next(slow);
                fast = next(next(fast));
                let found = gcd(slow.abs_diff(fast), number);
                if found > 1 {
                    break found;
                }
            };
            if found < number {
                return found;
            }
            break;
        }
    }
    number
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn numbers_are_products() {
        for number in [0, 1, 2, 4, 999, 1001, 1_000_000_016_000_000_063, u64::MAX, 18_446_744_073_709_551_557]
        {
            let mut factors = Vec::new();
            split(number, &mut factors);
            assert_eq!(factors.iter().product::<u64>(), number.max(1));
        }
    }
}
