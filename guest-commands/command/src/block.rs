//! Block sizes: the unit that sizes are written in, as `--block-size` and the environment name it. It rounds up, as
//! GNU does, and groups no digits.

use crate::quote::quote_plain;
use crate::size::human;
use std::ffi::OsStr;

/// The unit of sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// That of each size, by powers of this base.
    Human(u64),
    /// This many bytes, and what is written after the number.
    Of(u64, String),
}

impl Block {
    /// Units of `bytes` without a suffix.
    pub fn plain(bytes: u64) -> Block {
        Block::Of(bytes, String::new())
    }

    /// Reads `1K`, `KB`, `512`, `human-readable`, `si`; a unit without a number is written after each size.
    ///
    /// # Errors
    /// What GNU says: a message with the name of the option.
    pub fn parse(text: &str) -> Result<Block, String> {
        let shown = || quote_plain(OsStr::new(text));
        let word = text.strip_prefix('\'').unwrap_or(text);
        match word {
            "human-readable" => return Ok(Block::Human(1024)),
            "si" => return Ok(Block::Human(1000)),
            _ => {}
        }
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = word.split_at(digits);
        let mut letters = suffix.chars();
        let first = letters.next();
        let power = match first {
            None => Some(0),
            Some(letter) => "KMGTPEZY".find(letter.to_ascii_uppercase()).map(|at| at as u32 + 1),
        };
        let base: Option<u64> = match letters.as_str() {
            "" | "iB" => Some(1024),
            "B" | "D" => Some(1000),
            _ => None,
        };
        let (Some(power), Some(base)) = (power, base) else {
            return Err(if digits == 0 {
                format!("invalid --block-size argument {}", shown())
            } else {
                format!("invalid suffix in --block-size argument {}", shown())
            });
        };
        if number.is_empty() && suffix.is_empty() {
            return Err(format!("invalid --block-size argument {}", shown()));
        }
        let count = if number.is_empty() { Some(1) } else { number.parse().ok() };
        let size = count.and_then(|n: u64| n.checked_mul(base.checked_pow(power)?));
        let Some(size) = size else { return Err(format!("--block-size argument {} too large", shown())) };
        if size == 0 {
            return Err(format!("invalid --block-size argument {}", shown()));
        }
        let unit = match first {
            Some(letter) if number.is_empty() => {
                let letter = letter.to_ascii_uppercase();
                match letters.as_str() {
                    "" => letter.to_string(),
                    "iB" => format!("{letter}iB"),
                    _ if letter == 'K' => "kB".to_owned(),
                    _ => format!("{letter}B"),
                }
            }
            _ => String::new(),
        };
        Ok(Block::Of(size, unit))
    }

    /// A number of bytes in this unit.
    pub fn show(&self, bytes: u64) -> String {
        match self {
            Block::Human(base) => human(bytes, *base),
            Block::Of(size, unit) => format!("{}{unit}", bytes.div_ceil(*size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Block;

    #[test]
    fn units_are_written_only_without_a_number() {
        for (text, want) in [
            ("1K", "2"),
            ("K", "2K"),
            ("KB", "2kB"),
            ("KiB", "2KiB"),
            ("1", "1500"),
            ("'1", "1500"),
            ("si", "1.5k"),
            ("human-readable", "1.5K"),
        ] {
            assert_eq!(Block::parse(text).unwrap().show(1500), want, "{text}");
        }
        for (text, want) in [
            ("foo", "invalid --block-size argument 'foo'"),
            ("1x", "invalid suffix in --block-size argument '1x'"),
            ("0", "invalid --block-size argument '0'"),
            ("1Y", "--block-size argument '1Y' too large"),
        ] {
            assert_eq!(Block::parse(text).unwrap_err(), want);
        }
    }
}
