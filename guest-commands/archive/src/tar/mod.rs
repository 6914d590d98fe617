//! `tar`: archives of GNU's, ustar's and pax's format. Opening the archive and going through its members is here; what is done with
//! each is in a file of its own. Incremental backups, several volumes and remote archives do not exist.

mod append;
mod compare;
mod config;
mod create;
mod extract;
mod header;
mod list;
mod names;
mod pax;
mod reader;
mod transform;
mod writer;

use crate::codec::input::Input;
use crate::codec::{self, Damage, Format};
use crate::context::{Cx, End, Outcome};
use crate::files;
use agentos_guest::strerror;
use config::{Compression, Config, Operation, fatal};
use header::Member;
use names::{Safety, escaped};
use reader::{Next, Reader};
use std::ffi::OsString;
use std::io::{self, Read};

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    cx.usage_status = 2;
    let mut config = Config::read(cx, args)?;
    let end = run(cx, &mut config);
    match end {
        Ok(()) => {
            if cx.status == 2 {
                cx.say("Exiting with failure status due to previous errors");
            }
            Ok(cx.status)
        }
        Err(end) => Err(end),
    }
}

fn run(cx: &mut Cx, config: &mut Config) -> Result<(), End> {
    match config.operation {
        Operation::Create => create::run(cx, config),
        Operation::Append | Operation::Update | Operation::Concatenate => append::run(cx, config),
        Operation::Delete => append::delete(cx, config),
        Operation::List => {
            let mut list = list::List::default();
            let mut safety = Safety::default();
            each(cx, config, |cx, config, member, reader, _| {
                // Names stay as they are here, but what extracting would take away is said.
                safety.suffix(cx, config, &member.name, false);
                if member.kind == header::Kind::HardLink {
                    safety.suffix(cx, config, &member.link, true);
                }
                if config.block_numbers {
                    cx.print(format_args!("block {}: ", reader.start() / header::BLOCK as u64))?;
                }
                if config.verbose > 0 {
                    list.long(cx, config, member)
                } else {
                    list::short(cx, config, member)
                }
            })
        }
        Operation::Compare => compare::run(cx, config),
        Operation::Extract => extract::run(cx, config),
    }
}

/// Opens the archive for reading, through the decompressor that it needs.
fn open(cx: &mut Cx, config: &Config) -> Result<Input, End> {
    let name = escaped(config.archive.as_encoded_bytes());
    let standard = config.archive == "-";
    let opened = if standard { files::stdin() } else { files::open(&config.archive, 0) };
    let file = match opened {
        Ok(file) => file,
        Err(error) => return Err(cannot_open(cx, config, &name, &error)),
    };
    let mut input = Input::new(Box::new(file));
    let start = match input.peek(header::BLOCK) {
        Ok(start) => start,
        Err(error) => {
            let why = strerror(&error);
            return Err(fatal(
                cx,
                &format!("{name}: Cannot read: {why}\ntar: At beginning of tape, quitting now"),
            ));
        }
    };
    let plain = <&[u8; header::BLOCK]>::try_from(start).is_ok_and(header::checked);
    let found = Format::of(start).filter(|_| !plain);
    let format = match (config.compression, found) {
        (Compression::By(format), _) => Some(format),
        (Compression::Unset, Some(found)) if standard => {
            let option = match found {
                Format::Gzip => "-z",
                Format::Bzip2 => "-j",
                Format::Xz => "-J",
                Format::Lzma => "--lzma",
                Format::Zstd => "--zstd",
            };
            return Err(fatal(cx, &format!("Archive is compressed. Use {option} option")));
        }
        (Compression::Unset, found) => found,
    };
    let Some(format) = format else { return Ok(input) };
    // The reference programs find a wrong format by themselves; some read several.
    let start = input.peek(6).unwrap_or_default();
    if Format::of(start) != Some(format) {
        return Err(child_failed(cx, format, Damage::Format));
    }
    match format.decoder(input) {
        Ok(decoder) => Ok(Input::new(decoder)),
        Err(error) => Err(child_failed(cx, format, codec::damage(&error).unwrap_or(Damage::Data))),
    }
}

/// The end by an archive that cannot be opened: GNU tar leaves that to the child that packs or unpacks, if there is one.
fn cannot_open(cx: &mut Cx, config: &Config, name: &str, error: &io::Error) -> End {
    let message = format!("{name}: Cannot open: {}", strerror(error));
    if config.compression == Compression::Unset {
        return fatal(cx, &message);
    }
    let _ = cx.flush();
    eprintln!("tar (child): {message}\ntar (child): Error is not recoverable: exiting now");
    fatal(cx, "Child returned status 2")
}

/// What tar and its decompressor say when the latter fails.
fn child_failed(cx: &mut Cx, format: Format, damage: Damage) -> End {
    let (tool, start, file) = match format {
        Format::Gzip => ("gzip", "\n", "stdin"),
        Format::Bzip2 => ("bzip2", "", "(stdin)"),
        Format::Xz | Format::Lzma => ("xz", "", "(stdin)"),
        Format::Zstd => ("zstd", "", "/*stdin*\\"),
    };
    let words = match (format, damage) {
        (Format::Gzip, Damage::Format) => "not in gzip format".to_owned(),
        (Format::Gzip, Damage::Checksum) => "invalid compressed data--crc error".to_owned(),
        (Format::Gzip, Damage::Data) => "invalid compressed data--format violated".to_owned(),
        (Format::Xz | Format::Lzma, Damage::Format) => "File format not recognized".to_owned(),
        (Format::Xz | Format::Lzma, Damage::Truncated) => "Unexpected end of input".to_owned(),
        (Format::Zstd, Damage::Format) => "unsupported format".to_owned(),
        (Format::Bzip2, Damage::Format) => {
            let _ = cx.flush();
            eprintln!("bzip2: (stdin) is not a bzip2 file.");
            return fatal(cx, "Child returned status 2");
        }
        (_, other) => other.to_string(),
    };
    let _ = cx.flush();
    eprintln!("{start}{tool}: {file}: {words}");
    fatal(cx, &format!("Child returned status {}", if format == Format::Bzip2 { 2 } else { 1 }))
}

/// The end of a read that failed: damage of compressed data, an archive that is too short, or the system.
fn read_failed(cx: &mut Cx, config: &Config, error: &io::Error) -> End {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return fatal(cx, "Unexpected EOF in archive");
    }
    match codec::damage(error) {
        Some(damage) => {
            let format = match config.compression {
                Compression::By(format) => Some(format),
                Compression::Unset => files::open(&config.archive, 0).ok().and_then(|mut file| {
                    let mut start = [0; 6];
                    let n = file.read(&mut start).ok()?;
                    Format::of(&start[..n])
                }),
            };
            if damage == Damage::Truncated {
                let format = format.unwrap_or(Format::Gzip);
                let file = if format == Format::Gzip { "\ngzip: stdin" } else { "xz: (stdin)" };
                let words =
                    if format == Format::Gzip { "unexpected end of file" } else { "Unexpected end of input" };
                let _ = cx.flush();
                match format {
                    Format::Gzip | Format::Xz | Format::Lzma => eprintln!("{file}: {words}"),
                    Format::Zstd => eprintln!("/*stdin*\\ : Read error (39) : premature end "),
                    Format::Bzip2 => {
                        eprintln!("\nbzip2: Compressed file ends unexpectedly;\n\tperhaps it is corrupted?")
                    }
                }
                return fatal(cx, "Unexpected EOF in archive");
            }
            child_failed(cx, format.unwrap_or(Format::Gzip), damage)
        }
        None => {
            let name = escaped(config.archive.as_encoded_bytes());
            fatal(cx, &format!("{name}: Cannot read: {}", strerror(error)))
        }
    }
}

/// Calls `act` for every member that the operands name, with the directory that it belongs to.
fn each(
    cx: &mut Cx,
    config: &mut Config,
    mut act: impl FnMut(&mut Cx, &Config, &Member, &mut Reader, usize) -> Result<(), End>,
) -> Result<(), End> {
    let mut reader = Reader::new(open(cx, config)?);
    let last = config.dirs.len() - 1;
    loop {
        let next = match reader.next() {
            Ok(next) => next,
            Err(error) => return Err(read_failed(cx, config, &error)),
        };
        match next {
            Next::Member(member) => {
                if config.names.excluded(&member.name) {
                    // An operand that names it was found all the same.
                    config.names.select(&member.name, last);
                    continue;
                }
                if let Some(dir) = config.names.select(&member.name, last) {
                    act(cx, config, &member, &mut reader, dir)?;
                }
            }
            Next::End => {
                if config.block_numbers && config.operation == Operation::List {
                    let block = reader.start() / header::BLOCK as u64;
                    cx.print(format_args!("block {block}: ** Block of NULs **\n"))?;
                }
                if !config.ignore_zeros {
                    break;
                }
                if reader.start() == reader.position() {
                    break;
                }
            }
            Next::LoneZero(at) => {
                if config.ignore_zeros {
                    continue;
                }
                cx.say(format_args!("A lone zero block at {at}"));
                break;
            }
            Next::NotTar => {
                cx.say("This does not look like a tar archive");
                cx.status = 2;
                // An archive may begin further on; what is shorter than a block has none.
                if reader.position() < header::BLOCK as u64 {
                    break;
                }
                cx.say("Skipping to next header");
            }
            Next::Garbage => {
                cx.say("Skipping to next header");
                cx.status = 2;
            }
            Next::Truncated => return Err(fatal(cx, "Unexpected EOF in archive")),
        }
    }
    if matches!(config.operation, Operation::List | Operation::Extract | Operation::Compare) {
        config.names.not_found(cx);
    }
    cx.flush()
}

/// The name under which a member is put into a tree: transformed, stripped, and leading nowhere else. `None`: it is left out.
fn target_name(
    cx: &mut Cx,
    config: &Config,
    safety: &mut Safety,
    name: &[u8],
    target: transform::Target,
) -> Option<Vec<u8>> {
    let bare = if name.len() > 1 { name.strip_suffix(b"/").unwrap_or(name) } else { name };
    let name = transform::apply(&config.rules, bare, target);
    if name.is_empty() {
        return None;
    }
    let link = target == transform::Target::HardLink;
    let safe = safety.suffix(cx, config, &name, link);
    let stripped = names::strip(safe, config.strip)?;
    let Some(top) = &config.top else { return Some(stripped.to_vec()) };
    let under = stripped.strip_prefix(&top[..]).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
    Some(if under { stripped.to_vec() } else { [top, &b"/"[..], stripped].concat() })
}

#[cfg(test)]
mod tests;
