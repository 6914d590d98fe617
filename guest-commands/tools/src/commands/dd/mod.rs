//! `dd`: copies a file in blocks, with conversions of bytes. It knows no EBCDIC and no records (`conv=block`); an operand
//! that cannot be honoured is refused.

mod parse;
mod report;

use crate::context::{Cx, End, Outcome};
use crate::os::OsStrExt;
use crate::quote::{quoteaf, quotef};
use agentos_guest::fd;
use agentos_guest::fs::{FileType, file_type, fstat};
use agentos_guest::{Errno, errno_of, strerror};
use parse::{Job, Status};
use report::Counts;
use std::ffi::{OsStr, OsString};
use std::io::{self, SeekFrom};
use std::time::Instant;

const HELP: &str = "dd [OPERAND]...
Copy a file, converting and formatting according to the operands.
  bs=BYTES        read and write up to BYTES bytes at a time (default: 512); overrides ibs and obs
  conv=CONVS      convert the file as per the comma separated symbol list
  count=N         copy only N input blocks
  ibs=BYTES       read up to BYTES bytes at a time
  if=FILE         read from FILE instead of stdin
  iflag=FLAGS     read as per the comma separated symbol list: fullblock, count_bytes, skip_bytes
  obs=BYTES       write BYTES bytes at a time
  of=FILE         write to FILE instead of stdout
  oflag=FLAGS     write as per the comma separated symbol list: append, seek_bytes
  seek=N          skip N obs-sized output blocks (also oseek=N)
  skip=N          skip N ibs-sized input blocks (also iseek=N)
  status=LEVEL    what is printed to stderr: none, noxfer, progress
N and BYTES may be followed by c=1, w=2, b=512, kB=1000, K=1024, MB, M, xM and so on; N ending in B counts bytes.
CONV symbols: excl, fdatasync, fsync, lcase, nocreat, noerror, notrunc, sparse, swab, sync, ucase
";

pub(crate) fn main(cx: &mut Cx, args: &[OsString]) -> Outcome {
    match args {
        [only] if only == "--help" => {
            cx.print(format_args!("Usage: {HELP}"))?;
            return Ok(0);
        }
        [only] if only == "--version" => {
            cx.print(format_args!("dd (agentos-tools) {}\n", env!("CARGO_PKG_VERSION")))?;
            return Ok(0);
        }
        _ => {}
    }
    let job = parse::parse(cx, args)?;
    let mut run = Run::open(job)?;
    let mut status = 0;
    if let Err(message) = run.copy(cx) {
        run.report(true);
        return Err(End::Failure(1, message));
    }
    if run.failed {
        status = 1;
    }
    run.report(true);
    Ok(status)
}

struct Run {
    job: Job,
    input: u32,
    output: u32,
    counts: Counts,
    started: Instant,
    /// When progress was last shown.
    shown: Instant,
    /// Output that is not a whole block yet.
    pending: Vec<u8>,
    /// The odd byte that `swab` keeps for its neighbour.
    odd: Option<u8>,
    /// Zeros at the end of the output that were left out.
    hole: bool,
    failed: bool,
}

fn name(file: &Option<OsString>, standard: &str) -> String {
    quoteaf(file.as_deref().unwrap_or(OsStr::new(standard)))
}

/// The same, quoted only where it must be.
fn bare(file: &Option<OsString>, standard: &str) -> String {
    quotef(file.as_deref().unwrap_or(OsStr::new(standard)))
}

impl Run {
    fn open(job: Job) -> Result<Run, End> {
        let cannot = |file: &OsStr, error: &io::Error| {
            End::Failure(1, format!("failed to open {}: {}", quoteaf(file), strerror(error)))
        };
        let input = match &job.input {
            Some(file) => fd::open(file, fd::O_RDONLY, 0).map_err(|e| cannot(file, &e))?,
            None => 0,
        };
        let output = match &job.output {
            Some(file) => {
                let mut flags = fd::O_WRONLY;
                if !job.conv.nocreat {
                    flags |= fd::O_CREAT;
                }
                if job.conv.excl {
                    flags |= fd::O_EXCL;
                }
                if job.append {
                    flags |= fd::O_APPEND;
                }
                if job.seek == 0 && !job.conv.notrunc {
                    flags |= fd::O_TRUNC;
                }
                fd::open(file, flags, 0o666).map_err(|e| cannot(file, &e))?
            }
            None => 1,
        };
        let now = Instant::now();
        Ok(Run {
            job,
            input,
            output,
            counts: Counts::default(),
            started: now,
            shown: now,
            pending: Vec::new(),
            odd: None,
            hole: false,
            failed: false,
        })
    }

    fn report(&self, last: bool) {
        report::report(&self.counts, self.started.elapsed(), self.job.status, last);
    }

    fn copy(&mut self, cx: &mut Cx) -> Result<(), String> {
        self.skip(cx)?;
        self.seek()?;
        let mut block = vec![0; self.job.ibs];
        let mut left = self.job.count;
        let mut partial = 0;
        loop {
            let wanted = match (left, self.job.count_bytes) {
                (Some(0), _) => break,
                (Some(bytes), true) => usize::try_from(bytes).unwrap_or(usize::MAX).min(block.len()),
                _ => block.len(),
            };
            let read = self.read(&mut block[..wanted]);
            let mut n = match read {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) => {
                    let file = name(&self.job.input, "standard input");
                    let message = format!("error reading {file}: {}", strerror(&error));
                    if !self.job.conv.noerror {
                        self.finish()?;
                        return Err(message);
                    }
                    cx.say(message);
                    self.report(true);
                    self.failed = true;
                    // The block that cannot be read is left out; what is beyond it may be readable.
                    if fd::seek(self.input, SeekFrom::Current(wanted as i64)).is_err() {
                        break;
                    }
                    if !self.job.conv.sync {
                        left = left.map(|l| l.saturating_sub(1));
                        continue;
                    }
                    0
                }
            };
            if n == block.len() {
                self.counts.full_in += 1;
            } else {
                self.counts.partial_in += 1;
                if partial > 0 && self.job.warns_partial() {
                    self.job.warned = true;
                    let plural = if partial == 1 { "" } else { "s" };
                    cx.say(format_args!(
                        "warning: partial read ({partial} byte{plural}); suggest iflag=fullblock"
                    ));
                }
                partial = n;
            }
            left = left.map(|l| l.saturating_sub(if self.job.count_bytes { n as u64 } else { 1 }));
            if self.job.conv.sync && n < block.len() {
                block[n..].fill(0);
                n = block.len();
            }
            self.put(&mut block[..n])?;
            if self.job.status == Status::Progress && self.shown.elapsed().as_secs() >= 1 {
                self.shown = Instant::now();
                self.report(false);
            }
        }
        self.finish()
    }

    /// One block, or with `fullblock` as much of it as there is.
    fn read(&self, block: &mut [u8]) -> io::Result<usize> {
        let mut n = 0;
        loop {
            match fd::read(self.input, &mut block[n..]) {
                Ok(0) => return Ok(n),
                Ok(more) => n += more,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if n == block.len() || !self.job.fullblock {
                return Ok(n);
            }
        }
    }

    fn skip(&mut self, cx: &mut Cx) -> Result<(), String> {
        let bytes = self.job.skip;
        if bytes == 0 {
            return Ok(());
        }
        let (file, bare) = (name(&self.job.input, "standard input"), bare(&self.job.input, "standard input"));
        let regular = fstat(self.input).ok().filter(|s| file_type(s.mode) == FileType::File);
        let forward = i64::try_from(bytes).map_err(|_| format!("{bare}: cannot skip: Invalid argument"))?;
        if let Some(stat) = regular
            && let Ok(at) = fd::seek(self.input, SeekFrom::Current(forward))
        {
            if at > stat.size {
                cx.say(format_args!("{bare}: cannot skip to specified offset"));
            }
            return Ok(());
        }
        let mut left = bytes;
        let mut buf = vec![0; self.job.ibs];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
            match fd::read(self.input, &mut buf[..wanted]) {
                Ok(0) => {
                    cx.say(format_args!("{bare}: cannot skip to specified offset"));
                    return Ok(());
                }
                Ok(n) => left -= n as u64,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(format!("error reading {file}: {}", strerror(&error))),
            }
        }
        Ok(())
    }

    fn seek(&mut self) -> Result<(), String> {
        let bytes = self.job.seek;
        if bytes == 0 {
            return Ok(());
        }
        let (file, bare) =
            (name(&self.job.output, "standard output"), bare(&self.job.output, "standard output"));
        let said = |what: &str, error: &io::Error| format!("{what} {file}: {}", strerror(error));
        if self.job.output.is_some() && !self.job.conv.notrunc {
            let regular = fstat(self.output).is_ok_and(|s| file_type(s.mode) == FileType::File);
            if regular {
                let what = format!("failed to truncate to {bytes} bytes in output file");
                fd::set_len(self.output, bytes).map_err(|e| said(&what, &e))?;
            }
        }
        let by = i64::try_from(bytes).map_err(|_| format!("{bare}: cannot seek: Invalid argument"))?;
        match fd::seek(self.output, SeekFrom::Current(by)) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{bare}: cannot seek: {}", strerror(&error))),
        }
    }

    fn put(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        if self.job.conv.lcase {
            bytes.make_ascii_lowercase();
        }
        if self.job.conv.ucase {
            bytes.make_ascii_uppercase();
        }
        let swapped;
        let bytes = if self.job.conv.swab {
            swapped = self.swab(bytes);
            &swapped[..]
        } else {
            &*bytes
        };
        if self.job.same_blocks {
            return self.write(bytes);
        }
        let obs = self.job.obs;
        let mut rest = bytes;
        if !self.pending.is_empty() {
            let more = (obs - self.pending.len()).min(rest.len());
            self.pending.extend_from_slice(&rest[..more]);
            rest = &rest[more..];
            if self.pending.len() == obs {
                let block = std::mem::take(&mut self.pending);
                self.write(&block)?;
            }
        }
        while rest.len() >= obs {
            self.write(&rest[..obs])?;
            rest = &rest[obs..];
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    fn swab(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut all: Vec<u8> = self.odd.take().into_iter().chain(bytes.iter().copied()).collect();
        if all.len() % 2 == 1 {
            self.odd = all.pop();
        }
        for pair in all.chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        all
    }

    fn write(&mut self, block: &[u8]) -> Result<(), String> {
        let zeros = self.job.conv.sparse && !block.is_empty() && block.iter().all(|b| *b == 0);
        let skipped = zeros && fd::seek(self.output, SeekFrom::Current(block.len() as i64)).is_ok();
        if !skipped && let Err(error) = fd::write_all(self.output, block) {
            let file = name(&self.job.output, "standard output");
            return Err(match errno_of(&error) {
                Some(Errno::EPIPE) => format!("error writing {file}: Broken pipe"),
                _ => format!("error writing {file}: {}", strerror(&error)),
            });
        }
        self.hole = skipped;
        self.counts.bytes += block.len() as u64;
        if block.len() == self.job.obs {
            self.counts.full_out += 1;
        } else if !block.is_empty() {
            self.counts.partial_out += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), String> {
        if let Some(odd) = self.odd.take() {
            self.pending.push(odd);
        }
        if !self.pending.is_empty() {
            let block = std::mem::take(&mut self.pending);
            self.write(&block)?;
        }
        let file = name(&self.job.output, "standard output");
        // A hole at the end is only there once the length says so.
        if self.hole
            && let Ok(at) = fd::seek(self.output, SeekFrom::Current(0))
            && fstat(self.output).is_ok_and(|s| s.size < at)
        {
            let what = format!("failed to truncate to {at} bytes in output file {file}");
            fd::set_len(self.output, at).map_err(|e| format!("{what}: {}", strerror(&e)))?;
        }
        if let Some(data) = self.job.conv.sync_file {
            let what = if data { "fdatasync" } else { "fsync" };
            fd::sync(self.output, data).map_err(|e| format!("{what} failed for {file}: {}", strerror(&e)))?;
        }
        Ok(())
    }
}

/// Whether a word is an operand of this name, and its value.
fn value<'a>(word: &'a OsStr, name: &str) -> Option<&'a [u8]> {
    word.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}
