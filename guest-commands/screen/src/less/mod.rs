//! `less`, `more` and `pager`: text a screen at a time, forwards and backwards. Where output is no terminal it copies, as cat
//! does. It knows no tags and no log files.

mod commands;
mod options;
mod pager;
mod rows;
mod source;

use agentos_guest::{fd, strerror};
use options::Options;
use pager::Pager;
use std::ffi::OsString;
use std::fs::File;

const USAGE: &str = "\
Usage: less [options] [file]...
  -N  line numbers            -S  long lines are cut
  -R  colours pass            -i  case is ignored, -I always
  -F  quit if it all fits     -X  no other screen
  -e  quit at the second end  -E  quit at the end
  -m  -M  longer prompts      -s  runs of empty lines are one
  -q  no bell                 -K  ^C quits
  -f  binary files are shown  -G  matches are not marked
  -~  nothing after the end   -pPATTERN  begin there
  -xN  tabs every N columns   -jN  what was found is in row N
  -zN  windows of N rows      -#N  steps to the side of N columns
  +COMMAND  begin with this command: +G, +/pattern, +50
Keys: h tells them.
";

const USAGE_OF_MORE: &str = "
Usage:
 more [options] <file>...

A file perusal filter for CRT viewing.

Options:
 -d, --silent          no bell
 -f, --logical         count logical rather than screen lines
 -l, --no-pause        suppress pause after form feed
 -c, --print-over      do not scroll, display text and clean line ends
 -p, --clean-print     do not scroll, clean screen and display text
 -e, --exit-on-eof     exit on end-of-file
 -s, --squeeze         squeeze multiple blank lines into one
 -u, --plain           suppress underlining and bold
 -n, --lines <number>  the number of lines per screenful
 -<number>             same as --lines
 +<number>             display file beginning from line number
 +/<pattern>           display file beginning from pattern match

 -h, --help            display this help
 -V, --version         display version
";

pub(crate) fn main(name: &str, args: &[OsString]) -> i32 {
    let more = name == "more";
    for word in args.iter().take_while(|w| *w != "--") {
        let (help, version) = (word == "--help", word == "-V" || word == "--version");
        if help || (more && word == "-h") || (!more && word == "-?") {
            print!("{}", if more { USAGE_OF_MORE } else { USAGE });
            return 0;
        }
        if version {
            println!("{name} (agentos-screen) {}", env!("CARGO_PKG_VERSION"));
            return 0;
        }
    }
    let mut o = Options::new();
    if more {
        return self::more(o, args);
    }
    let set = std::env::var("LESS").unwrap_or_default();
    let words = set.split_whitespace();
    let words = words.map(|w| if w.starts_with(['-', '+']) { w.to_owned() } else { format!("-{w}") });
    let words: Vec<OsString> = words.map(OsString::from).collect();
    let mut wrong = Vec::new();
    o.of_less(&words, &mut wrong);
    let mut files = o.of_less(args, &mut wrong);
    wrong.iter().for_each(|message| eprintln!("{message}"));
    if !fd::isatty(1) {
        return copy_all(&files);
    }
    if files.is_empty() {
        if fd::isatty(0) {
            println!("Missing filename (\"less --help\" for help)");
            return 0;
        }
        files.push("-".into());
    }
    page(o, files)
}

fn page(o: Options, files: Vec<OsString>) -> i32 {
    match Pager::open(o, files) {
        Ok(mut pager) => pager.run(),
        Err(message) => {
            eprintln!("{message}");
            1
        }
    }
}

/// `more`: a pager with an end, or what `cat` does with a heading for each file.
fn more(mut o: Options, args: &[OsString]) -> i32 {
    (o.more, o.no_init, o.raw) = (true, true, true);
    (o.quit_if_one, o.quit_at_end, o.tildes) = (true, 2, false);
    let mut files = match o.of_more(args) {
        Ok(files) => files,
        Err(message) => {
            crate::say("more", message);
            eprintln!("Try 'more --help' for more information.");
            return 1;
        }
    };
    let typed = fd::isatty(0);
    if files.is_empty() && typed {
        eprintln!("more: bad usage\nTry 'more --help' for more information.");
        return 1;
    }
    if fd::isatty(1) {
        if files.is_empty() {
            files.push("-".into());
        }
        files.retain(|file| match open(file) {
            _ if file == "-" => true,
            Ok(_) => true,
            Err(_) => {
                refuse(file);
                false
            }
        });
        return if files.is_empty() { 0 } else { page(o, files) };
    }
    if !typed && copy(None).is_err() {
        return 1;
    }
    for file in &files {
        match open(file) {
            Ok(mut input) => {
                let heading = format!("::::::::::::::\n{}\n::::::::::::::\n", file.to_string_lossy());
                if (!typed || files.len() > 1) && fd::write_all(1, heading.as_bytes()).is_err() {
                    return 1;
                }
                if copy(Some(&mut input)).is_err() {
                    return 1;
                }
            }
            Err(_) => refuse(file),
        }
    }
    0
}

/// Says as `more` does why a file is not shown.
fn refuse(file: &OsString) {
    let name = file.to_string_lossy();
    match File::open(file) {
        Ok(_) => println!("\n*** {name}: directory ***\n"),
        Err(error) => crate::say("more", format_args!("cannot open {name}: {}", strerror(&error))),
    }
}

/// Copies the files, or standard input; a file that is missing does not change the status, as with less itself.
fn copy_all(files: &[OsString]) -> i32 {
    if files.is_empty() {
        return i32::from(copy(None).is_err());
    }
    for file in files {
        let done = if file == "-" {
            copy(None)
        } else {
            match open(file) {
                Ok(mut input) => copy(Some(&mut input)),
                Err(message) => {
                    eprintln!("{message}");
                    Ok(())
                }
            }
        };
        if done.is_err() {
            return 1;
        }
    }
    0
}

/// Copies a file or standard input to standard output; an error is one of writing.
fn copy(mut input: Option<&mut File>) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = match &mut input {
            None => fd::read(0, &mut buffer),
            Some(file) => std::io::Read::read(file, &mut buffer),
        };
        match read {
            Ok(0) => return Ok(()),
            Ok(n) => fd::write_all(1, &buffer[..n])?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => {
                eprintln!("read error: {}", strerror(&error));
                return Ok(());
            }
        }
    }
}

fn open(path: &OsString) -> Result<File, String> {
    let name = path.to_string_lossy();
    let file = File::open(path).map_err(|e| format!("{name}: {}", strerror(&e)))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(format!("{name} is a directory"));
    }
    Ok(file)
}
