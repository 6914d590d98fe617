//! Our git and the host's take turns on the same repositories, in sequences made from seeds. Both must show the same at
//! every step, and the host's `fsck --strict` must find nothing wrong. `cargo xtask test-external` runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OURS: &str = env!("CARGO_BIN_EXE_git");
const FILES: [&str; 5] = ["a", "b", "d/c", "d/e/f", "\u{fc}"];
/// What is compared after each step.
const SHOWN: [&[&str]; 10] = [
    &["status"],
    &["status", "--porcelain=v2", "-b"],
    &["diff"],
    &["diff", "HEAD", "--stat"],
    &["log", "--oneline", "-p", "-3"],
    &["log", "--format=%H %P %s %d", "--all"],
    &["ls-files", "-s"],
    &["branch", "-v"],
    &["write-tree"],
    &["reflog"],
];

type Output = (Option<i32>, Vec<u8>, Vec<u8>);

/// A repository, the time in it, and a source of numbers.
struct Turns {
    dir: PathBuf,
    home: PathBuf,
    host: PathBuf,
    time: u64,
    state: u64,
}

impl Turns {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state % limit as u64) as usize
    }

    fn run(&mut self, git: &Path, words: &[&str]) -> Output {
        self.time += 10;
        let date = format!("{} +0000", self.time);
        let output = Command::new(git)
            .args(words)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_EDITOR", "true")
            .env("LC_ALL", "C")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .stdin(Stdio::null())
            .output()
            .expect("git runs");
        (output.status.code(), output.stdout, output.stderr)
    }

    /// One of the two does it.
    fn turn(&mut self, words: &[&str]) -> Output {
        let git = if self.below(2) == 0 { self.host.clone() } else { PathBuf::from(OURS) };
        self.run(&git, words)
    }

    /// Both show the same.
    fn same(&mut self, words: &[&str]) {
        let host = self.host.clone();
        let (a, b) = (self.run(&host, words), self.run(Path::new(OURS), words));
        let text = |o: &Output| {
            format!("{:?}\n{}{}", o.0, String::from_utf8_lossy(&o.1), String::from_utf8_lossy(&o.2))
        };
        assert!(a == b, "{}: git {words:?}\nhost: {}\nours: {}", self.dir.display(), text(&a), text(&b));
    }

    fn branches(&mut self) -> Vec<String> {
        let host = self.host.clone();
        let out = self.run(&host, &["branch", "--format=%(refname:short)"]).1;
        String::from_utf8_lossy(&out).split_whitespace().map(str::to_owned).collect()
    }

    fn edit(&mut self) {
        let name = FILES[self.below(FILES.len())];
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        let mut lines: Vec<String> = match fs::read_to_string(&path) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(_) => (0..40).map(|n| format!("line {n} of {name}")).collect(),
        };
        for _ in 0..self.below(4) {
            let at = self.below(lines.len() + 1);
            let end = (at + self.below(3)).min(lines.len());
            let new: Vec<String> =
                (0..self.below(3)).map(|_| format!("new {}", self.below(1_000_000))).collect();
            lines.splice(at..end, new);
        }
        fs::write(path, lines.iter().map(|l| format!("{l}\n")).collect::<String>()).expect("a file");
    }

    fn step(&mut self, number: usize) {
        let what = self.below(12);
        match what {
            0..5 => self.edit(),
            5 => {
                let name = FILES[self.below(FILES.len())];
                let path = self.dir.join(name);
                // It need not be there.
                let _ = fs::remove_file(path);
            }
            8 => drop(self.turn(&["switch", "-q", "-c", &format!("b{number}")])),
            9 | 10 => {
                let branches = self.branches();
                if branches.is_empty() {
                    return;
                }
                let branch = branches[self.below(branches.len())].clone();
                if what == 9 {
                    self.turn(&["switch", "-q", &branch]);
                    return;
                }
                let merged = self.turn(&["merge", "-q", "--no-edit", &branch]).0;
                for words in [&["status"][..], &["diff"], &["ls-files", "-s"]] {
                    self.same(words);
                }
                if merged != Some(0) {
                    if self.below(2) == 0 {
                        self.turn(&["merge", "--abort"]);
                    } else {
                        self.turn(&["add", "-A"]);
                        self.turn(&["commit", "-q", "--no-edit"]);
                    }
                }
            }
            11 => {
                self.turn(&["stash", "-q"]);
                self.same(&["stash", "list"]);
                self.turn(&["stash", "pop", "-q"]);
                if !self.run(Path::new(OURS), &["ls-files", "-u"]).1.is_empty() {
                    self.turn(&["reset", "-q", "--hard"]);
                }
            }
            _ => {}
        }
        if what < 8 {
            self.turn(&["add", "-A"]);
            self.turn(&["commit", "-qm", &format!("step {number}")]);
        }
    }
}

#[test]
#[ignore = "needs a git on the host: cargo xtask test-external"]
fn both_work_on_the_same_repositories() {
    let root = std::env::temp_dir().join(format!("agentos-git-turns-{}", std::process::id()));
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join(".gitconfig"), "[user]\nname = a\nemail = b@c\n[init]\ndefaultBranch = main\n")
        .expect("a file");
    let folders = ["/usr/local/bin/git", "/usr/bin/git"];
    let host = folders.iter().map(PathBuf::from).find(|p| p.exists()).expect("git is installed");
    for seed in 1..=8u64 {
        let dir = root.join(format!("repository-{seed}"));
        fs::create_dir(&dir).expect("a folder");
        let mut turns = Turns {
            dir,
            home: root.clone(),
            host: host.clone(),
            time: 1_700_000_000,
            state: seed * 0x9e37_79b9,
        };
        turns.turn(&["init", "-q"]);
        for number in 0..40 {
            turns.step(number);
            if number == 20 {
                turns.run(&host, &["gc", "-q"]);
            }
            for words in SHOWN {
                turns.same(words);
            }
        }
        let (status, out, err) = turns.run(&host, &["fsck", "--strict", "--no-dangling"]);
        let said = format!("{}{}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
        assert_eq!((status, said.as_str()), (Some(0), ""), "fsck of seed {seed}");
    }
    fs::remove_dir_all(&root).expect("the folder goes");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder is read") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// A command, and how it goes on after a conflict.
const REPLAYS: [(&[&str], &[&str]); 5] = [
    (&["rebase", "main", "b1"], &["rebase", "--continue"]),
    (&["rebase", "-i", "--autosquash", "main", "b1"], &["rebase", "--continue"]),
    (&["rebase", "--onto", "main~2", "main~1", "b1"], &["rebase", "--skip"]),
    (&["cherry-pick", "-x", "main..b1"], &["cherry-pick", "--continue"]),
    (&["revert", "--no-edit", "main~3..main"], &["revert", "--skip"]),
];

#[test]
#[ignore = "needs a git on the host: cargo xtask test-external"]
fn rebase_and_cherry_pick_make_the_same_commits() {
    let root = std::env::temp_dir().join(format!("agentos-git-replays-{}", std::process::id()));
    fs::create_dir_all(&root).expect("a folder");
    fs::write(root.join(".gitconfig"), "[user]\nname = a\nemail = b@c\n[init]\ndefaultBranch = main\n")
        .expect("a file");
    let folders = ["/usr/local/bin/git", "/usr/bin/git"];
    let host = folders.iter().map(PathBuf::from).find(|p| p.exists()).expect("git is installed");
    for seed in 1..=6u64 {
        let made = root.join(format!("made-{seed}"));
        fs::create_dir(&made).expect("a folder");
        let new = |dir: PathBuf| Turns {
            dir,
            home: root.clone(),
            host: host.clone(),
            time: 1_700_000_000,
            state: seed * 0x9e37_79b9,
        };
        let mut history = new(made.clone());
        history.run(&host, &["init", "-q"]);
        let commits = |history: &mut Turns, count: usize, what: &str| {
            for number in 0..count {
                history.edit();
                history.run(&host, &["add", "-A"]);
                let prefix = if number % 4 == 3 { "fixup! " } else { "" };
                let number = if number % 4 == 3 { number - 1 } else { number };
                history.run(&host, &["commit", "-qm", &format!("{prefix}{what} {number}")]);
            }
        };
        commits(&mut history, 6, "first");
        history.run(&host, &["branch", "b1"]);
        commits(&mut history, 6, "main");
        history.run(&host, &["switch", "-q", "b1"]);
        commits(&mut history, 8, "side");
        history.run(&host, &["switch", "-q", "main"]);
        for (at, (words, on)) in REPLAYS.iter().enumerate() {
            let mut results = Vec::new();
            for (name, git) in [("host", host.clone()), ("ours", PathBuf::from(OURS))] {
                // The same name, so that messages are the same.
                let dir = root.join(name).join(format!("{seed}-{at}"));
                copy(&made, &dir);
                let mut turns = new(dir);
                turns.time = 1_800_000_000;
                let mut said = vec![turns.run(&git, words)];
                for _ in 0..12 {
                    let busy = ["rebase-merge", "CHERRY_PICK_HEAD", "REVERT_HEAD", "sequencer"];
                    if !busy.iter().any(|f| turns.dir.join(".git").join(f).exists()) {
                        break;
                    }
                    said.push(turns.run(&git, &["status"]));
                    turns.run(&host, &["add", "-A"]);
                    said.push(turns.run(&git, on));
                }
                let log = ["log", "--graph", "--all", "--format=%H %an %ad %cd %B"];
                for words in [&log[..], &["status"], &["ls-files", "-s"], &["reflog"]] {
                    said.push(turns.run(&host, words));
                }
                said.push(turns.run(&host, &["fsck", "--strict", "--no-dangling"]));
                results.push(said);
            }
            for (a, b) in results[0].iter().zip(&results[1]) {
                let text = |o: &Output| {
                    format!("{:?}\n{}{}", o.0, String::from_utf8_lossy(&o.1), String::from_utf8_lossy(&o.2))
                };
                assert!(a == b, "seed {seed}: git {words:?}\nhost: {}\nours: {}", text(a), text(b));
            }
            assert_eq!(results[0].len(), results[1].len(), "seed {seed}: git {words:?}");
        }
    }
    fs::remove_dir_all(&root).expect("the folder goes");
}
