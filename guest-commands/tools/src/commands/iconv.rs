//! `iconv`: text from one character set to another: the forms of Unicode, ISO 8859, the code pages of Windows and the usual
//! sets of East Asia. It has no tables of its own.

use crate::context::{Cx, End, Outcome, open_input};
use crate::options::Order;
use agentos_guest::strerror;
use encoding_rs::Encoding;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;

const SPEC: &[&str] = &["f,from-code=", "t,to-code=", "l,list", "c", "o,output=", "s,silent", "verbose"];
const HELP: &str = "{} [OPTION...] [FILE...]
Convert encoding of given files from one encoding to another.
  -f, --from-code=NAME  encoding of original text
  -t, --to-code=NAME    encoding for output; //TRANSLIT and //IGNORE may follow the name
  -l, --list            list all known coded character sets
  -c                    omit invalid characters from output
  -o, --output=FILE     output file
  -s, --silent          suppress warnings
      --verbose         print progress information";

/// A set of characters.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Set {
    Ascii,
    Latin1,
    /// ISO 8859-9: Latin 1 but for six letters of Turkish.
    Latin5,
    Utf8,
    /// Bytes of a unit; whether the greatest comes first, or a mark says so.
    Utf16(Option<bool>),
    Utf32(Option<bool>),
    Other(&'static Encoding),
}

const NAMES: &[&str] = &[
    "ASCII",
    "US-ASCII",
    "ANSI_X3.4-1968",
    "UTF-8",
    "UTF8",
    "UTF-16",
    "UTF-16BE",
    "UTF-16LE",
    "UTF-32",
    "UTF-32BE",
    "UTF-32LE",
    "UCS-2",
    "UCS-4",
    "UNICODE",
    "ISO-8859-1",
    "LATIN1",
    "ISO-8859-2",
    "LATIN2",
    "ISO-8859-3",
    "ISO-8859-4",
    "ISO-8859-5",
    "ISO-8859-6",
    "ISO-8859-7",
    "ISO-8859-8",
    "ISO-8859-10",
    "ISO-8859-13",
    "ISO-8859-14",
    "ISO-8859-15",
    "LATIN-9",
    "ISO-8859-16",
    "WINDOWS-1250",
    "CP1250",
    "WINDOWS-1251",
    "CP1251",
    "WINDOWS-1252",
    "CP1252",
    "WINDOWS-1253",
    "CP1253",
    "WINDOWS-1254",
    "CP1254",
    "WINDOWS-1255",
    "CP1255",
    "WINDOWS-1256",
    "CP1256",
    "WINDOWS-1257",
    "CP1257",
    "WINDOWS-1258",
    "CP1258",
    "WINDOWS-874",
    "CP866",
    "IBM866",
    "KOI8-R",
    "KOI8-U",
    "MACINTOSH",
    "BIG5",
    "EUC-JP",
    "EUC-KR",
    "GBK",
    "GB18030",
    "SHIFT_JIS",
    "SJIS",
];

fn set(name: &str) -> Option<Set> {
    let upper: String = name.to_ascii_uppercase();
    let plain: String = upper.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    Some(match plain.as_str() {
        "ASCII" | "USASCII" | "ANSIX3.41968" | "ISO646US" => Set::Ascii,
        "ISO88591" | "88591" | "LATIN1" | "L1" | "CP819" | "IBM819" => Set::Latin1,
        "ISO88599" | "88599" | "LATIN5" | "L5" => Set::Latin5,
        "UTF8" => Set::Utf8,
        "UTF16" => Set::Utf16(None),
        "UCS2" | "ISO10646UCS2" | "UCS2LE" | "UTF16LE" | "UNICODELITTLE" => Set::Utf16(Some(false)),
        "UNICODE" => Set::Utf16(None),
        "UTF16BE" | "UCS2BE" | "UNICODEBIG" => Set::Utf16(Some(true)),
        "UTF32" => Set::Utf32(None),
        "UTF32LE" | "UCS4LE" | "WCHART" | "INTERNAL" => Set::Utf32(Some(false)),
        "UTF32BE" | "UCS4" | "UCS4BE" | "ISO10646" | "10646" => Set::Utf32(Some(true)),
        _ => {
            let label = match plain.as_str() {
                "LATIN2" => "iso-8859-2".to_owned(),
                "LATIN9" => "iso-8859-15".to_owned(),
                "EUCJP" => "euc-jp".to_owned(),
                "EUCKR" => "euc-kr".to_owned(),
                "SHIFTJIS" | "SJIS" => "shift_jis".to_owned(),
                "KOI8R" => "koi8-r".to_owned(),
                "KOI8U" => "koi8-u".to_owned(),
                "MACINTOSH" | "MAC" => "macintosh".to_owned(),
                "CP936" => "gbk".to_owned(),
                other => match other.strip_prefix("CP125").or_else(|| other.strip_prefix("WINDOWS125")) {
                    Some(page) => format!("windows-125{page}"),
                    None => match other.strip_prefix("ISO8859").or_else(|| other.strip_prefix("8859")) {
                        Some(part) => format!("iso-8859-{part}"),
                        None => upper.to_ascii_lowercase(),
                    },
                },
            };
            let found = Encoding::for_label(label.as_bytes())?;
            // What browsers take for other sets is not what is asked for.
            let honest = found.name().eq_ignore_ascii_case(&label)
                || matches!(label.as_str(), "cp866" | "ibm866" | "gb2312" | "euccn" | "windows-874" | "big5");
            if !honest {
                return None;
            }
            Set::Other(found)
        }
    })
}

/// The letters of Latin 5 that Latin 1 lacks.
const TURKISH: &[(u8, char)] =
    &[(0xd0, 'Ğ'), (0xdd, 'İ'), (0xde, 'Ş'), (0xf0, 'ğ'), (0xfd, 'ı'), (0xfe, 'ş')];

/// Where reading stopped.
enum Fault {
    /// At a byte that begins no character.
    Illegal(usize),
    /// In the middle of a character at the end.
    Incomplete,
}

/// A character and the byte after it.
fn next(set: Set, text: &[u8], at: usize, big: bool) -> Result<(char, usize), Fault> {
    let unit16 = |at: usize| -> Option<u16> {
        let pair = [*text.get(at)?, *text.get(at + 1)?];
        Some(if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) })
    };
    match set {
        Set::Ascii if text[at] < 0x80 => Ok((char::from(text[at]), at + 1)),
        Set::Ascii => Err(Fault::Illegal(at)),
        Set::Latin1 => Ok((char::from(text[at]), at + 1)),
        Set::Latin5 => {
            let found = TURKISH.iter().find(|(byte, _)| *byte == text[at]);
            Ok((found.map_or(char::from(text[at]), |(_, c)| *c), at + 1))
        }
        Set::Utf8 => {
            let piece = &text[at..text.len().min(at + 4)];
            let valid = match std::str::from_utf8(piece) {
                Ok(valid) => valid,
                Err(error) if error.valid_up_to() > 0 => {
                    std::str::from_utf8(&piece[..error.valid_up_to()]).unwrap_or_default()
                }
                Err(error) if error.error_len().is_none() && at + 4 > text.len() => {
                    return Err(Fault::Incomplete);
                }
                Err(_) => return Err(Fault::Illegal(at)),
            };
            let c = valid.chars().next().ok_or(Fault::Illegal(at))?;
            Ok((c, at + c.len_utf8()))
        }
        Set::Utf16(_) => {
            let first = unit16(at).ok_or(Fault::Incomplete)?;
            if !(0xd800..0xe000).contains(&first) {
                return Ok((char::from_u32(first.into()).ok_or(Fault::Illegal(at))?, at + 2));
            }
            let second = unit16(at + 2).ok_or(Fault::Incomplete)?;
            match char::decode_utf16([first, second]).next() {
                Some(Ok(c)) => Ok((c, at + 4)),
                _ => Err(Fault::Illegal(at)),
            }
        }
        Set::Utf32(_) => {
            let bytes: [u8; 4] =
                text.get(at..at + 4).and_then(|b| b.try_into().ok()).ok_or(Fault::Incomplete)?;
            let number = if big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
            Ok((char::from_u32(number).ok_or(Fault::Illegal(at))?, at + 4))
        }
        Set::Other(encoding) => {
            // No character of these sets is longer than four bytes.
            for length in 1..=4.min(text.len() - at) {
                let found =
                    encoding.decode_without_bom_handling_and_without_replacement(&text[at..at + length]);
                if let Some(c) = found.as_deref().and_then(|s| s.chars().next()) {
                    // Browsers take bytes that a code page does not have for controls.
                    if encoding.name().starts_with("windows-") && ('\u{80}'..'\u{a0}').contains(&c) {
                        return Err(Fault::Illegal(at));
                    }
                    return Ok((c, at + length));
                }
            }
            if text.len() - at < 4 && !encoding.is_single_byte() {
                Err(Fault::Incomplete)
            } else {
                Err(Fault::Illegal(at))
            }
        }
    }
}

/// Writes a character; false if the set lacks it.
fn put(set: Set, c: char, out: &mut Vec<u8>) -> bool {
    let mut units = [0; 2];
    match set {
        Set::Ascii if c.is_ascii() => out.push(c as u8),
        Set::Latin1 if (c as u32) < 256 => out.push(c as u8),
        Set::Latin5 => match TURKISH.iter().find(|(_, letter)| *letter == c) {
            Some((byte, _)) => out.push(*byte),
            None if (c as u32) < 256 && TURKISH.iter().all(|(byte, _)| *byte != c as u8) => out.push(c as u8),
            None => return false,
        },
        Set::Ascii | Set::Latin1 => return false,
        Set::Utf8 => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        Set::Utf16(big) => {
            for unit in c.encode_utf16(&mut units) {
                out.extend(if big == Some(true) { unit.to_be_bytes() } else { unit.to_le_bytes() });
            }
        }
        Set::Utf32(big) => {
            out.extend(if big == Some(true) { (c as u32).to_be_bytes() } else { (c as u32).to_le_bytes() });
        }
        Set::Other(encoding) => {
            let mut piece = [0; 4];
            let (bytes, _, lacking) = encoding.encode(c.encode_utf8(&mut piece));
            if lacking {
                return false;
            }
            out.extend(&*bytes);
        }
    }
    true
}

/// What stands for a character that a set lacks: letters without their marks, plain quotes and dashes, names of currencies.
fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => "A",
        'Æ' => "AE",
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => "C",
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => "E",
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => "I",
        'Ð' | 'Ď' | 'Đ' => "D",
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => "N",
        'Ò'..='Ö' | 'Ø' | 'Ō' | 'Ŏ' | 'Ő' => "O",
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => "U",
        'Ý' | 'Ŷ' | 'Ÿ' => "Y",
        'Þ' => "TH",
        'ß' => "ss",
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ð' | 'ď' | 'đ' => "d",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'þ' => "th",
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => "G",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'Ĥ' | 'Ħ' => "H",
        'ĥ' | 'ħ' => "h",
        'Ĵ' => "J",
        'ĵ' => "j",
        'Ķ' => "K",
        'ķ' => "k",
        'Ĺ' | 'Ļ' | 'Ľ' | 'Ŀ' | 'Ł' => "L",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'Ŕ' | 'Ŗ' | 'Ř' => "R",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'Ś' | 'Ŝ' | 'Ş' | 'Š' | 'Ș' => "S",
        'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
        'Ţ' | 'Ť' | 'Ŧ' | 'Ț' => "T",
        'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
        'Ŵ' => "W",
        'ŵ' => "w",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        'Œ' => "OE",
        'œ' => "oe",
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' => " ",
        '‘' | '’' | '‛' | '′' => "'",
        '‚' => ",",
        '“' | '”' | '‟' | '″' => "\"",
        '„' => ",,",
        '‹' => "<",
        '›' => ">",
        '«' => "<<",
        '»' => ">>",
        '‐' | '‑' | '‒' | '–' | '−' => "-",
        '—' => "--",
        '±' => "+-",
        '…' => "...",
        '•' => "o",
        '·' => ".",
        '€' => "EUR",
        '©' => "(C)",
        '®' => "(R)",
        '™' => "(TM)",
        '×' => "x",
        '¼' => " 1/4 ",
        '½' => " 1/2 ",
        '¾' => " 3/4 ",
        '←' => "<-",
        '→' => "->",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬀ' => "ff",
        _ => return None,
    })
}

/// The name and what follows it.
fn named(text: &str) -> (String, bool, bool) {
    let mut parts = text.split("//");
    let name = parts.next().unwrap_or_default().to_owned();
    let rest: Vec<String> = parts.flat_map(|p| p.split(',')).map(str::to_ascii_uppercase).collect();
    (name, rest.iter().any(|r| r == "TRANSLIT"), rest.iter().any(|r| r == "IGNORE"))
}

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    let parsed = match crate::options::parse(SPEC, args, Order::Permute) {
        Err(message) if !message.contains("'--help") && !message.contains("'--version") => {
            cx.say(format_args!("{message}\nTry `iconv --help' or `iconv --usage' for more information."));
            return Ok(64);
        }
        _ => cx.parse(SPEC, args, Order::Permute, HELP)?,
    };
    let locale = || if crate::quote::is_utf8() { "UTF-8" } else { "ASCII" }.to_owned();
    let (mut from, mut to, mut skip, mut output) = (locale(), locale(), false, None);
    for opt in &parsed.opts {
        match opt.id {
            "from-code" => from = opt.text(),
            "to-code" => to = opt.text(),
            "c" => skip = true,
            "output" => output = Some(opt.arg().to_owned()),
            "list" => {
                for name in NAMES {
                    cx.print(format_args!("{name}//\n"))?;
                }
                return Ok(0);
            }
            // There is nothing to be warned of, and no progress to tell.
            _ => {}
        }
    }
    let ((from, _, _), (to, translit, ignore)) = (named(&from), named(&to));
    let sets = (
        if from.is_empty() { set(&locale()) } else { set(&from) },
        if to.is_empty() { set(&locale()) } else { set(&to) },
    );
    let (Some(source), Some(target)) = sets else {
        // In these words glibc 2.36 says that it has no such set.
        return Err(End::Failure(
            1,
            "failed to start conversion processing: No such file or directory".to_owned(),
        ));
    };
    let mut files = parsed.operands;
    if files.is_empty() {
        files.push("-".into());
    }
    let mut job = Job { source, target, skip, translit, ignore, skipped: None };
    let mut status = 0;
    let mut collected = Vec::new();
    for file in &files {
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                cx.say(format_args!(
                    "cannot open input file `{}': {}",
                    file.to_string_lossy(),
                    strerror(&error)
                ));
                status = 1;
                continue;
            }
        };
        let mut out = Vec::new();
        let result = job.convert(&text, &mut out);
        if output.is_some() {
            collected.extend(out);
        } else {
            cx.put(&out)?;
        }
        match result {
            Err(Fault::Illegal(at)) => {
                cx.say(format_args!("illegal input sequence at position {at}"));
                status = 1;
                break;
            }
            Err(Fault::Incomplete) => {
                cx.say("incomplete character or shift sequence at end of buffer");
                status = 1;
                break;
            }
            Ok(()) => {}
        }
        if let Some(at) = job.skipped.take() {
            status = 1;
            cx.say(format_args!("illegal input sequence at position {at}"));
        }
    }
    if let Some(path) = output {
        let written = std::fs::File::create(&path).and_then(|mut f| f.write_all(&collected));
        written
            .map_err(|error| End::Failure(1, format!("unable to open output file: {}", strerror(&error))))?;
    }
    Ok(status)
}

fn read(file: &OsStr) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open_input(file)?.read_to_end(&mut text)?;
    Ok(text)
}

struct Job {
    source: Set,
    target: Set,
    /// `-c`
    skip: bool,
    translit: bool,
    /// `//IGNORE`
    ignore: bool,
    /// The end of an input of which something was left out.
    skipped: Option<usize>,
}

impl Job {
    fn convert(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let (mut at, mut big) = (0, false);
        match self.source {
            Set::Utf16(Some(order)) | Set::Utf32(Some(order)) => big = order,
            Set::Utf16(None) => match text {
                [0xfe, 0xff, ..] => (at, big) = (2, true),
                [0xff, 0xfe, ..] => at = 2,
                _ => {}
            },
            Set::Utf32(None) => match text {
                [0, 0, 0xfe, 0xff, ..] => (at, big) = (4, true),
                [0xff, 0xfe, 0, 0, ..] => at = 4,
                _ => {}
            },
            _ => {}
        }
        match self.target {
            Set::Utf16(None) => out.extend([0xff, 0xfe]),
            Set::Utf32(None) => out.extend([0xff, 0xfe, 0, 0]),
            _ => {}
        }
        let lenient = self.skip || self.ignore;
        while at < text.len() {
            let (c, end) = match next(self.source, text, at, big) {
                Ok(found) => found,
                Err(Fault::Illegal(_)) if lenient => {
                    if !self.skip {
                        self.skipped = Some(text.len());
                    }
                    at += match self.source {
                        Set::Utf16(_) => 2,
                        Set::Utf32(_) => 4,
                        _ => 1,
                    };
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            if !put(self.target, c, out) {
                let instead = if self.translit { Some(plain(c).unwrap_or("?")) } else { None };
                let known = instead.is_some_and(|text| {
                    let before = out.len();
                    let fits = text.chars().all(|c| put(self.target, c, out));
                    if !fits {
                        out.truncate(before);
                    }
                    fits
                });
                if !known {
                    if !lenient {
                        return Err(Fault::Illegal(at));
                    }
                    if !self.skip {
                        self.skipped = Some(text.len());
                    }
                }
            }
            at = end;
        }
        Ok(())
    }
}
