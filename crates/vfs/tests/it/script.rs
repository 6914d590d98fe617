//! A small language for file system cases: one command per `;`, `=> VALUE` or `=> ERRNO` for what it must answer.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::Arc;

use agentos_vfs::{
    Access, Attr, Errno, FileSystem, FileType, Ino, InodePin, Link, NewKind, NewNode, OpenFile, RenameFlags,
    Result, SetAttr, SetTime, Timespec,
};

/// Waits for a reply of any file system.
pub fn wait<T>(future: impl IntoFuture<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future.into_future()))
}

/// A file system and what a script has open.
pub struct Script {
    pub fs: Arc<dyn FileSystem>,
    files: HashMap<String, Arc<dyn OpenFile>>,
    inos: HashMap<String, (Ino, InodePin)>,
    pub uid: u32,
}

impl Script {
    pub fn new(fs: Arc<dyn FileSystem>) -> Self {
        Script { fs, files: HashMap::new(), inos: HashMap::new(), uid: 1000 }
    }

    /// Runs all commands; panics with the command whose answer is not as told.
    #[track_caller]
    pub fn check(&mut self, case: &str) {
        for line in case.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = match line.split_once("=>") {
                Some((command, expected)) => (command.trim(), Some(expected.trim())),
                None => (line, None),
            };
            match (self.run(command), expected) {
                (Ok(answer), Some(expected)) => assert_eq!(answer, expected, "`{line}` in `{case}`"),
                (Err(errno), Some(expected)) => assert_eq!(errno.name(), expected, "`{line}` in `{case}`"),
                (Ok(_), None) => {}
                (Err(errno), None) => panic!("`{line}` failed with {} in `{case}`", errno.name()),
            }
        }
    }

    /// Runs one command; the answer is empty where there is nothing to say.
    pub fn run(&mut self, command: &str) -> Result<String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let word = |n: usize| words.get(n).copied().unwrap_or("");
        let number = |n: usize, default: u64| words.get(n).map_or(default, |w| parse(w));
        let fs = self.fs.clone();
        let quiet = |result: Result<()>| result.map(|()| String::new());
        match words[0] {
            "mkdir" => self.create(word(1), NewKind::Directory, number(2, 0o755)),
            "file" => {
                self.create(word(1), NewKind::Regular, 0o644)?;
                self.write(word(1), 0, word(2).as_bytes())
            }
            "create" => self.create(word(1), NewKind::Regular, number(2, 0o644)),
            "symlink" => self.create(word(2), NewKind::Symlink(word(1).into()), 0o777),
            "fifo" => self.create(word(1), NewKind::Fifo, 0o600),
            "socket" => self.create(word(1), NewKind::Socket, 0o600),
            "char" => self.create(word(1), NewKind::CharDevice(number(2, 0)), 0o600),
            "block" => self.create(word(1), NewKind::BlockDevice(number(2, 0)), 0o600),
            "link" => {
                let ino = self.ino(word(1))?;
                let (dir, name) = self.place(word(2))?;
                wait(fs.link(ino, dir, name.as_bytes())).map(|_| String::new())
            }
            "unlink" => {
                let (dir, name) = self.place(word(1))?;
                quiet(wait(fs.unlink(dir, name.as_bytes())))
            }
            "rmdir" => {
                let (dir, name) = self.place(word(1))?;
                quiet(wait(fs.rmdir(dir, name.as_bytes())))
            }
            "mv" | "mvn" | "swap" | "mvswap" => {
                let (from_dir, from) = self.place(word(1))?;
                let (to_dir, to) = self.place(word(2))?;
                let flags = RenameFlags {
                    no_replace: words[0] == "mvn" || words[0] == "mvswap",
                    exchange: words[0] == "swap" || words[0] == "mvswap",
                };
                quiet(wait(fs.rename(from_dir, from.as_bytes(), to_dir, to.as_bytes(), flags)))
            }
            "ls" => {
                let mut names: Vec<String> = wait(fs.readdir(self.ino(word(1))?))?
                    .iter()
                    .map(|entry| {
                        let mark = match entry.kind {
                            FileType::Directory => "/",
                            FileType::Symlink => "@",
                            FileType::Regular => "",
                            _ => "?",
                        };
                        format!("{}{mark}", String::from_utf8_lossy(&entry.name))
                    })
                    .collect();
                names.sort();
                Ok(names.join(","))
            }
            "readlink" => match wait(fs.readlink(self.ino(word(1))?, 1))? {
                Link::Path(path) => Ok(String::from_utf8_lossy(&path).into_owned()),
                Link::Descriptor { .. } => Ok("descriptor".to_owned()),
                Link::Directory { .. } => Ok("directory".to_owned()),
            },
            "stat" => {
                let attr = wait(fs.getattr(self.ino(word(1))?))?;
                Ok(field(&attr, word(2)))
            }
            "same" => Ok((self.ino(word(1))? == self.ino(word(2))?).to_string()),
            "parent" => {
                let parent = wait(fs.parent(self.ino(word(1))?))?;
                Ok((parent == self.ino(word(2))?).to_string())
            }
            "nameof" => Ok(match wait(fs.name_of(self.ino(word(1))?))? {
                Some((_, name)) => String::from_utf8_lossy(&name).into_owned(),
                None => "/".to_owned(),
            }),
            // The number in readdir is the number of lookup.
            "listed" => {
                let (dir, name) = self.place(word(1))?;
                let entries = wait(fs.readdir(dir))?;
                let entry = entries.iter().find(|e| *e.name == *name.as_bytes()).ok_or(Errno::ENOENT)?;
                Ok((entry.ino == self.ino(word(1))?).to_string())
            }
            "write" => self.write(word(1), number(2, 0), word(3).as_bytes()),
            "fill" => self.write(word(1), number(2, 0), &vec![b'x'; number(3, 0) as usize]),
            "append" => {
                let file = self.open(word(1), Access { read: false, write: true })?;
                let (n, end) = wait(file.append(word(2).as_bytes()))?;
                Ok(format!("{n}@{end}"))
            }
            "read" => self.read(word(1), number(2, 0), number(3, 1 << 20) as usize),
            "open" => {
                let access = Access { read: word(3).contains('r'), write: word(3).contains('w') };
                let file = self.open(word(2), access)?;
                self.files.insert(word(1).to_owned(), file);
                Ok(String::new())
            }
            "close" => {
                self.files.remove(word(1));
                Ok(String::new())
            }
            // Notes an inode number, to be used as `#NAME` later.
            "note" | "pin" => {
                let ino = self.ino(word(2))?;
                let pin = if words[0] == "pin" { self.fs.pin(ino) } else { InodePin::none() };
                self.inos.insert(word(1).to_owned(), (ino, pin));
                Ok(String::new())
            }
            "unpin" => {
                let (ino, _) = self.inos.remove(word(1)).unwrap();
                self.inos.insert(word(1).to_owned(), (ino, InodePin::none()));
                Ok(String::new())
            }
            "truncate" => self.change(word(1), SetAttr { size: Some(number(2, 0)), ..SetAttr::default() }),
            "chmod" => {
                self.change(word(1), SetAttr { perm: Some(number(2, 0) as u32), ..SetAttr::default() })
            }
            "chown" => {
                let (uid, gid) = (Some(number(2, 0) as u32), Some(number(3, 0) as u32));
                self.change(word(1), SetAttr { uid, gid, ..SetAttr::default() })
            }
            "mtime" | "atime" => {
                let time = match word(2) {
                    "now" => SetTime::Now,
                    text => {
                        let (secs, nanos) = text.split_once('.').unwrap_or((text, "0"));
                        SetTime::At(Timespec { secs: secs.parse().unwrap(), nanos: nanos.parse().unwrap() })
                    }
                };
                let mut change = SetAttr::default();
                if words[0] == "mtime" {
                    change.mtime = Some(time)
                } else {
                    change.atime = Some(time)
                }
                self.change(word(1), change)
            }
            // Whether the command in the rest moved a time of an inode: `moves mtime /d mkdir /d/e`.
            "moves" => {
                let before = wait(self.fs.getattr(self.ino(word(2))?))?;
                std::thread::sleep(std::time::Duration::from_millis(12));
                self.run(&words[3..].join(" "))?;
                let after = wait(self.fs.getattr(before.ino))?;
                let pick = |attr: &Attr| match word(1) {
                    "mtime" => attr.mtime,
                    "ctime" => attr.ctime,
                    _ => attr.atime,
                };
                Ok((pick(&after) > pick(&before)).to_string())
            }
            other => panic!("no command {other}"),
        }
    }

    fn ino(&self, path: &str) -> Result<Ino> {
        let (mut ino, path) = match path.strip_prefix('#') {
            Some(rest) => {
                let (name, path) = rest.split_once('/').unwrap_or((rest, ""));
                (self.inos[name].0, path)
            }
            None => (self.fs.root(), path),
        };
        for part in path.split('/').filter(|part| !part.is_empty()) {
            ino = wait(self.fs.lookup(ino, part.as_bytes()))?.ino;
        }
        Ok(ino)
    }

    fn place(&self, path: &str) -> Result<(Ino, String)> {
        let (dir, name) = path.rsplit_once('/').unwrap();
        // `LONG` stands for a name one byte too long, `MAX` for the longest.
        let name = match name {
            "LONG" => "n".repeat(256),
            "MAX" => "n".repeat(255),
            name => name.to_owned(),
        };
        Ok((self.ino(dir)?, name))
    }

    fn create(&self, path: &str, kind: NewKind, perm: u64) -> Result<String> {
        let (dir, name) = self.place(path)?;
        let node = NewNode { kind, perm: perm as u32, uid: self.uid, gid: self.uid };
        let attr = wait(self.fs.create(dir, name.as_bytes(), &node))?;
        assert_eq!(wait(self.fs.lookup(dir, name.as_bytes()))?.ino, attr.ino);
        Ok(String::new())
    }

    fn open(&self, path: &str, access: Access) -> Result<Arc<dyn OpenFile>> {
        if let Some(file) = self.files.get(path) {
            return Ok(file.clone());
        }
        wait(self.fs.open(self.ino(path)?, access))
    }

    fn write(&self, path: &str, offset: u64, data: &[u8]) -> Result<String> {
        let file = self.open(path, Access { read: false, write: true })?;
        wait(file.write_at(data, offset)).map(|n| n.to_string())
    }

    fn read(&self, path: &str, offset: u64, len: usize) -> Result<String> {
        let file = self.open(path, Access { read: true, write: false })?;
        let mut buf = vec![b'?'; len];
        let n = wait(file.read_at(&mut buf, offset))?;
        Ok(String::from_utf8_lossy(&buf[..n]).replace('\0', "."))
    }

    fn change(&self, path: &str, change: SetAttr) -> Result<String> {
        match self.files.get(path) {
            Some(file) => wait(file.setattr(&change)),
            None => wait(self.fs.setattr(self.ino(path)?, &change)),
        }
        .map(|_| String::new())
    }
}

fn parse(word: &str) -> u64 {
    match word.strip_prefix("0o") {
        Some(octal) => u64::from_str_radix(octal, 8).unwrap(),
        None => word.parse().unwrap(),
    }
}

fn field(attr: &Attr, name: &str) -> String {
    match name {
        "nlink" => attr.nlink.to_string(),
        "size" => attr.size.to_string(),
        "perm" => format!("{:o}", attr.perm),
        "kind" => format!("{:?}", attr.kind),
        "uid" => attr.uid.to_string(),
        "gid" => attr.gid.to_string(),
        "rdev" => attr.rdev.to_string(),
        "mtime" => attr.mtime.secs.to_string(),
        "atime" => attr.atime.secs.to_string(),
        "blocks" => attr.blocks.to_string(),
        other => panic!("no field {other}"),
    }
}
