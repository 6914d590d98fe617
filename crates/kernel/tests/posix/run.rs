//! Runs the commands of a case. What they mean is here; how a system does them is in `ours` and `linux`.
//!
//! | command | what it does, and what it answers |
//! |---|---|
//! | `as UID[:GID[,GROUP]...]`, `as root` | everything after is done by this user; at first it is 1000:1000 |
//! | `umask MODE`, `cd PATH` | of the process |
//! | `mkdir`, `fifo`, `socket PATH [MODE]`, `mknod PATH c\|b MAJOR MINOR [MODE]` | makes one |
//! | `file PATH [TEXT [MODE]]` | makes a regular file, which must not exist, and writes into it |
//! | `symlink TARGET PATH`, `readlink PATH` | the target |
//! | `link`, `linkfollow FROM TO` | a hard link; to what a symbolic link leads to |
//! | `unlink`, `rmdir PATH` | |
//! | `rename FROM TO [noreplace][+exchange]` | |
//! | `open NAME PATH HOW [MODE]` | opens it as `NAME`; `-` closes it at once. `HOW` is such as `rw+creat+excl` |
//! | `dup NAME NEW`, `close NAME`, `append NAME on\|off` | |
//! | `read NAME N`, `pread NAME N AT` | the bytes, zeros as `.`; `-` for none |
//! | `write NAME TEXT`, `pwrite NAME TEXT AT` | how many |
//! | `seek NAME N set\|cur\|end` | the offset |
//! | `cat PATH` | opens, reads all, closes |
//! | `truncate TARGET N`, `allocate NAME AT N`, `fsync NAME` | |
//! | `stat TARGET FIELD...`, `lstat` | the fields: type, mode, nlink, uid, gid, size, rdev, atime, mtime, blocks |
//! | `chmod MODE TARGET`, `chown`, `lchown UID:GID TARGET` | `-` leaves one as it is |
//! | `utimes`, `lutimes TARGET ATIME MTIME` | each `now`, `omit` or seconds with nanoseconds, such as `1.000000001` |
//! | `access PATH rwx`, `statfs PATH` | |
//! | `ls PATH` | names in order of their bytes; `-` for none |
//! | `flock NAME sh\|ex\|un` | without waiting |
//! | `lock NAME rd\|wr\|un START LEN [set\|cur\|end]` | F_SETLK; `ofd` is F_OFD_SETLK, `lockw` F_SETLKW |
//! | `getlk NAME rd\|wr START LEN [set\|cur\|end]` | what is in the way, such as `wr 0 10`; `-` if nothing is |
//! | `holder NAME rd\|wr START LEN` | the process that is in the way, or `ofd` |
//! | `fork NAME` | a process of that name, with what is open here |
//! | `in NAME COMMAND...` | does it in that process; `waits` if it waits, and then `answer NAME` is what became of it |
//! | `end NAME` | that process ends |
//! | `exec`, `cloexec NAME` | another program in this process; what that closes |
//! | `moved TARGET COMMAND...` | which times of the target the command moved: some of `amc`, or `-` |
//! | `same TARGET TARGET` | whether both are one inode |
//! | `many DIR N`, `few DIR N` | makes or removes files `0` to `N - 1` in it |
//! | `each` | every line from here on is done in a new directory, after the lines before this one were done in it |
//! | `count DIR` | how many entries it has |
//! | `churn DIR N` | `whole` if a listing of N files holds what stays while others come and go |
//! | `seekdir DIR` | how many entries can be found again by their cookies, with `.` and `..` |
//! | `mount PATH [ro]` | an empty file system whose root everybody may write |
//!
//! A target is a path, or `&NAME`, which is open.

use std::collections::HashSet;
use std::time::Duration;

use agentos_abi::fd::{
    O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
    R_OK, W_OK, X_OK,
};
use agentos_vfs::{Attr, Errno, FileType, NewKind, RenameFlags, SetTime, Timespec};

use crate::backends::Place;
use crate::language::{Case, Line};
use crate::system::{Actor, Asked, From, Lock, Locked, Record, Result, System, Target};

/// Longer than a tick of any clock of a file system.
const TICK: Duration = Duration::from_millis(11);

/// Runs a case as `name`; `false` if it cannot be run here.
pub fn run(case: &Case, name: &str, place: &mut dyn Place) -> std::result::Result<bool, String> {
    if place.refuses(case) {
        return Ok(false);
    }
    let mut setting = None;
    for (at, line) in case.lines.iter().enumerate() {
        match &line.words[0][..] {
            b"--" => {
                place.again();
                continue;
            }
            b"each" => {
                setting = Some(&case.lines[..at]);
                continue;
            }
            _ => {}
        }
        if let Some(setting) = setting {
            prepare(place.system(), setting, at).map_err(|why| format!("before `{}`: {why}", line.text))?;
        }
        let answer = command(place.system(), &line.words);
        let wrong = match (&answer, line.expected(name)) {
            (Ok(answer), Some(expected)) => answer != expected,
            (Err(errno), Some(expected)) => errno.name() != expected,
            (Ok(_), None) => false,
            (Err(_), None) => true,
        };
        if wrong {
            let answer = answer.unwrap_or_else(|errno| errno.name().to_owned());
            return Err(format!("`{}` answered {answer}", line.text));
        }
    }
    place.wrong().map_or(Ok(true), Err)
}

/// Does in a new directory what comes before `each`.
fn prepare(system: &mut dyn System, setting: &[Line], at: usize) -> std::result::Result<(), String> {
    system.go_home();
    let directory = format!("each{at}");
    let failed = |errno: Errno| errno.name().to_owned();
    system.make(directory.as_bytes(), NewKind::Directory, 0o777).map_err(failed)?;
    system.chdir(directory.as_bytes()).map_err(failed)?;
    for line in setting {
        command(system, &line.words).map_err(|errno| format!("`{}` answered {}", line.text, errno.name()))?;
    }
    Ok(())
}

/// One command; the answer is empty where there is nothing to say.
pub fn command(system: &mut dyn System, words: &[Vec<u8>]) -> Result<String> {
    let text = |n: usize| words.get(n).map(|word| std::str::from_utf8(word).unwrap());
    let word = |n: usize| text(n).unwrap_or_else(|| panic!("{words:?}: a word is missing"));
    let bytes =
        |n: usize| -> &[u8] { words.get(n).unwrap_or_else(|| panic!("{words:?}: a word is missing")) };
    let number = |n: usize| -> u64 { word(n).parse().unwrap_or_else(|_| panic!("{words:?}: no number")) };
    let mode = |n: usize, default: u32| text(n).map_or(default, octal);
    let quiet = |done: Result<()>| done.map(|()| String::new());
    match word(0) {
        "as" => {
            system.become_actor(&actor(word(1)));
            Ok(String::new())
        }
        "umask" => {
            system.umask(octal(word(1)));
            Ok(String::new())
        }
        "cd" => quiet(system.chdir(bytes(1))),
        "mkdir" => quiet(system.make(bytes(1), NewKind::Directory, mode(2, 0o777))),
        "fifo" => quiet(system.make(bytes(1), NewKind::Fifo, mode(2, 0o666))),
        "socket" => quiet(system.make(bytes(1), NewKind::Socket, mode(2, 0o666))),
        "mknod" => {
            let rdev = number(3) << 8 | number(4);
            let kind = if word(2) == "c" { NewKind::CharDevice(rdev) } else { NewKind::BlockDevice(rdev) };
            quiet(system.make(bytes(1), kind, mode(5, 0o666)))
        }
        "file" => {
            system.open("file", bytes(1), O_WRONLY | O_CREAT | O_EXCL, mode(3, 0o666))?;
            let written = match words.get(2) {
                Some(content) if !content.is_empty() => system.write("file", content).map(|_| ()),
                _ => Ok(()),
            };
            system.close("file")?;
            quiet(written)
        }
        "symlink" => quiet(system.make(bytes(2), NewKind::Symlink(bytes(1).to_vec()), 0o777)),
        "readlink" => system.readlink(bytes(1)).map(|target| shown(&target)),
        "link" => quiet(system.link(bytes(1), false, bytes(2))),
        "linkfollow" => quiet(system.link(bytes(1), true, bytes(2))),
        "unlink" => quiet(system.unlink(bytes(1))),
        "rmdir" => quiet(system.rmdir(bytes(1))),
        "rename" => {
            let how = text(3).unwrap_or("");
            let (no_replace, exchange) = (how.contains("noreplace"), how.contains("exchange"));
            quiet(system.rename(bytes(1), bytes(2), RenameFlags { no_replace, exchange }))
        }
        "open" => {
            system.open(word(1), bytes(2), flags(word(3)), mode(4, 0o666))?;
            if word(1) == "-" { quiet(system.close("-")) } else { Ok(String::new()) }
        }
        "dup" => quiet(system.dup(word(1), word(2))),
        "close" => quiet(system.close(word(1))),
        "append" => quiet(system.set_append(word(1), word(2) == "on")),
        "read" => system.read(word(1), number(2) as usize).map(|data| shown(&data)),
        "pread" => system.pread(word(1), number(2) as usize, number(3)).map(|data| shown(&data)),
        "write" => system.write(word(1), bytes(2)).map(|n| n.to_string()),
        "pwrite" => system.pwrite(word(1), bytes(2), number(3)).map(|n| n.to_string()),
        "seek" => {
            let to = system.seek(word(1), word(2).parse().unwrap(), from(word(3)));
            to.map(|offset| offset.to_string())
        }
        "cat" => {
            system.open("cat", bytes(1), O_RDONLY | O_NONBLOCK, 0)?;
            let data = system.read("cat", 1 << 16);
            system.close("cat")?;
            data.map(|data| shown(&data))
        }
        "truncate" => quiet(system.truncate(target(bytes(1), true), number(2))),
        "allocate" => quiet(system.allocate(word(1), number(2), number(3))),
        "fsync" => quiet(system.fsync(word(1))),
        "stat" | "lstat" => {
            let (_, attr) = system.stat(target(bytes(1), word(0) == "stat"))?;
            let fields: Vec<_> = words[2..].iter().map(|name| field(&attr, name)).collect();
            Ok(fields.join(" "))
        }
        "chmod" => quiet(system.chmod(target(bytes(2), true), octal(word(1)))),
        "chown" | "lchown" => {
            let (uid, gid) = word(1).split_once(':').unwrap();
            let of = target(bytes(2), word(0) == "chown");
            quiet(system.chown(of, uid.parse().ok(), gid.parse().ok()))
        }
        "utimes" | "lutimes" => {
            let of = target(bytes(1), word(0) == "utimes");
            quiet(system.utimens(of, time(word(2)), time(word(3))))
        }
        "access" => {
            let bits = [('r', R_OK), ('w', W_OK), ('x', X_OK)];
            let wanted =
                bits.iter().filter(|(letter, _)| word(2).contains(*letter)).map(|(_, bit)| bit).sum();
            quiet(system.access(bytes(1), wanted))
        }
        "statfs" => system.statfs(bytes(1)).map(|block| (block > 0).to_string()),
        "ls" => {
            system.open("ls", bytes(1), O_RDONLY | O_DIRECTORY, 0)?;
            let names = system.list("ls");
            system.close("ls")?;
            let mut names = names?;
            names.sort();
            let names: Vec<_> = names.iter().map(|name| name.escape_ascii().to_string()).collect();
            Ok(if names.is_empty() { "-".to_owned() } else { names.join(" ") })
        }
        "flock" => quiet(system.flock(
            word(1),
            match word(2) {
                "sh" => Lock::Shared,
                "ex" => Lock::Exclusive,
                _ => Lock::Unlock,
            },
        )),
        "lock" | "lockw" | "ofd" | "getlk" | "holder" => {
            let asked = match word(0) {
                "lock" => Asked::Set,
                "lockw" => Asked::Wait,
                "ofd" => Asked::OfDescription,
                _ => Asked::Get,
            };
            let kind = match word(2) {
                "rd" => Some(false),
                "wr" => Some(true),
                _ => None,
            };
            let (start, len) = (word(3).parse().unwrap(), word(4).parse().unwrap());
            let lock = Record { kind, start, len, from: from(text(5).unwrap_or("set")) };
            Ok(match (system.record(word(1), asked, lock)?, word(0)) {
                (Locked::Done, "getlk" | "holder") => "-".to_owned(),
                (Locked::Done, _) => String::new(),
                (Locked::Waits, _) => "waits".to_owned(),
                (Locked::By { holder, .. }, "holder") => holder,
                (Locked::By { exclusive, start, len, .. }, _) => {
                    format!("{} {start} {len}", if exclusive { "wr" } else { "rd" })
                }
            })
        }
        "fork" => {
            system.fork(word(1));
            Ok(String::new())
        }
        "in" => system.within(word(1), &words[2..]),
        "answer" => system.answer(word(1)),
        "end" => {
            system.end(word(1));
            Ok(String::new())
        }
        "exec" => {
            system.exec();
            Ok(String::new())
        }
        "cloexec" => {
            system.close_on_exec(word(1));
            Ok(String::new())
        }
        "moved" => {
            let of = target(bytes(1), false);
            let (_, before) = system.stat(of)?;
            std::thread::sleep(TICK);
            command(system, &words[2..])?;
            let (_, after) = system.stat(of)?;
            let moved: String = [
                ('a', before.atime != after.atime),
                ('m', before.mtime != after.mtime),
                ('c', before.ctime != after.ctime),
            ]
            .iter()
            .filter(|(_, moved)| *moved)
            .map(|(letter, _)| letter)
            .collect();
            Ok(if moved.is_empty() { "-".to_owned() } else { moved })
        }
        "same" => {
            let (a, b) = (system.stat(target(bytes(1), false))?, system.stat(target(bytes(2), false))?);
            Ok(((a.0, a.1.ino) == (b.0, b.1.ino)).to_string())
        }
        "many" => {
            for n in 0..number(2) {
                let path = [bytes(1), b"/", n.to_string().as_bytes()].concat();
                system.open("many", &path, O_WRONLY | O_CREAT | O_EXCL, 0o666)?;
                system.close("many")?;
            }
            Ok(String::new())
        }
        "few" => {
            for n in 0..number(2) {
                system.unlink(&[bytes(1), b"/", n.to_string().as_bytes()].concat())?;
            }
            Ok(String::new())
        }
        "count" => {
            system.open("ls", bytes(1), O_RDONLY | O_DIRECTORY, 0)?;
            let names = system.list("ls");
            system.close("ls")?;
            let names = names?;
            let different: HashSet<_> = names.iter().collect();
            assert_eq!(different.len(), names.len(), "a name is there twice");
            Ok(names.len().to_string())
        }
        "churn" => churn(system, bytes(1), number(2)),
        "seekdir" => seekdir(system, bytes(1)),
        "mount" => {
            system.mount(bytes(1), text(2) == Some("ro"));
            Ok(String::new())
        }
        other => panic!("no command {other}"),
    }
}

fn from(word: &str) -> From {
    match word {
        "set" => From::Set,
        "cur" => From::Current,
        _ => From::End,
    }
}

/// Makes `many` files, and changes the directory while it is read entry by entry. What stayed must have been read once,
/// what went or came at most once.
fn churn(system: &mut dyn System, directory: &[u8], many: u64) -> Result<String> {
    let path = |name: String| [directory, b"/", name.as_bytes()].concat();
    let create = |system: &mut dyn System, name: String| -> Result<()> {
        system.open("churn", &path(name), O_WRONLY | O_CREAT | O_EXCL, 0o666)?;
        system.close("churn")
    };
    for n in 0..many {
        create(system, format!("old{n}"))?;
    }
    system.open("list", directory, O_RDONLY | O_DIRECTORY, 0)?;
    let (mut seen, mut cookie) = (Vec::new(), 0);
    while let Some((name, next)) = system.entry("list", cookie)? {
        seen.push(String::from_utf8_lossy(&name).into_owned());
        cookie = next;
        if seen.len() as u64 == many / 2 {
            for n in (0..many).step_by(3) {
                system.unlink(&path(format!("old{n}")))?;
                create(system, format!("new{n}"))?;
            }
            for n in (1..many).step_by(3) {
                system.rename(
                    &path(format!("old{n}")),
                    &path(format!("moved{n}")),
                    RenameFlags::default(),
                )?;
            }
        }
        if seen.len() as u64 > 4 * many + 2 {
            return Ok("without end".to_owned());
        }
    }
    system.close("list")?;
    let different: HashSet<_> = seen.iter().collect();
    if different.len() != seen.len() {
        return Ok("twice".to_owned());
    }
    let stayed = (2..many).step_by(3).map(|n| format!("old{n}"));
    let lost: Vec<_> = stayed.filter(|name| !different.contains(name)).collect();
    Ok(if lost.is_empty() { "whole".to_owned() } else { format!("lost {}", lost.join(" ")) })
}

/// Reads a directory, and every entry again by its cookie, the last one first.
fn seekdir(system: &mut dyn System, directory: &[u8]) -> Result<String> {
    system.open("seek", directory, O_RDONLY | O_DIRECTORY, 0)?;
    let (mut places, mut cookie) = (Vec::new(), 0);
    while let Some((name, next)) = system.entry("seek", cookie)? {
        places.push((cookie, name));
        cookie = next;
    }
    let end = system.entry("seek", cookie)?;
    for (cookie, name) in places.iter().rev() {
        let again = system.entry("seek", *cookie)?.map(|(name, _)| name);
        if again.as_ref() != Some(name) {
            return Ok(format!("{} is not at its place", name.escape_ascii()));
        }
    }
    system.close("seek")?;
    Ok(if end.is_none() { places.len().to_string() } else { "no end".to_owned() })
}

fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap_or_else(|_| panic!("{text} is not octal"))
}

fn actor(text: &str) -> Actor {
    let (uid, groups) = text.split_once(':').unwrap_or((text, text));
    let id = |text: &str| if text == "root" { 0 } else { text.parse().unwrap() };
    let mut groups: Vec<u32> = groups.split(',').map(id).collect();
    let gid = groups.remove(0);
    Actor { uid: id(uid), gid, groups }
}

fn target(word: &[u8], follow: bool) -> Target<'_> {
    match word.strip_prefix(b"&") {
        Some(name) => Target::Open(std::str::from_utf8(name).unwrap()),
        None if follow => Target::Path(word),
        None => Target::Link(word),
    }
}

fn flags(text: &str) -> u32 {
    text.split('+')
        .map(|word| match word {
            "r" => O_RDONLY,
            "w" => O_WRONLY,
            "rw" => O_RDWR,
            "creat" => O_CREAT,
            "excl" => O_EXCL,
            "trunc" => O_TRUNC,
            "append" => O_APPEND,
            "dir" => O_DIRECTORY,
            "nofollow" => O_NOFOLLOW,
            "nonblock" => O_NONBLOCK,
            other => panic!("no flag {other}"),
        })
        .sum()
}

fn time(text: &str) -> Option<SetTime> {
    match text {
        "omit" => None,
        "now" => Some(SetTime::Now),
        text => {
            let (secs, nanos) = text.split_once('.').unwrap_or((text, "0"));
            Some(SetTime::At(Timespec { secs: secs.parse().unwrap(), nanos: nanos.parse().unwrap() }))
        }
    }
}

fn shown(data: &[u8]) -> String {
    if data.is_empty() {
        return "-".to_owned();
    }
    data.iter()
        .map(|byte| if *byte == 0 { ".".to_owned() } else { byte.escape_ascii().to_string() })
        .collect()
}

fn field(attr: &Attr, name: &[u8]) -> String {
    let time = |time: Timespec| {
        if time.nanos == 0 { time.secs.to_string() } else { format!("{}.{:09}", time.secs, time.nanos) }
    };
    match name {
        b"type" => match attr.kind {
            FileType::Regular => "file",
            FileType::Directory => "dir",
            FileType::Symlink => "link",
            FileType::CharDevice => "char",
            FileType::BlockDevice => "block",
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
        }
        .to_owned(),
        b"mode" => format!("{:o}", attr.perm),
        b"nlink" => attr.nlink.to_string(),
        b"uid" => attr.uid.to_string(),
        b"gid" => attr.gid.to_string(),
        b"size" => attr.size.to_string(),
        b"rdev" => format!("{}:{}", attr.rdev >> 8, attr.rdev & 255),
        b"blocks" => attr.blocks.to_string(),
        b"atime" => time(attr.atime),
        b"mtime" => time(attr.mtime),
        other => panic!("no field {}", other.escape_ascii()),
    }
}
