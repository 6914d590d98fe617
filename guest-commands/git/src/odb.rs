//! The object store: loose objects read and written, packs and alternates read, packs taken in. It knows nothing of refs.

use crate::error::{Res, Stop, fatal};
use crate::lock::Lock;
use crate::oid::{Commit, EMPTY_TREE, Kind, Oid, Tag, TreeEntry, hash_object, parse_tree};
use crate::pack::{Pack, Packed, apply_delta};
use crate::packread::unpack;
use crate::packwrite::{Place, index};
use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;
use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes of delta bases and trees that are kept.
const CACHE: usize = 16 << 20;
/// The longest chain of deltas that is followed.
const MAX_CHAIN: usize = 5000;

type Cache = HashMap<Oid, (Kind, Rc<Vec<u8>>)>;

/// The object store of a repository.
pub(crate) struct Odb {
    dirs: Vec<PathBuf>,
    packs: OnceCell<Vec<Pack>>,
    commits: RefCell<HashMap<Oid, Rc<Commit>>>,
    cache: RefCell<(usize, Cache)>,
    /// Commits whose parents are not there, of the file `shallow`.
    shallow: OnceCell<HashSet<Oid>>,
}

impl Odb {
    /// The store in a directory, with its alternates.
    pub(crate) fn new(dir: PathBuf) -> Odb {
        let mut dirs = vec![dir];
        let mut at = 0;
        while at < dirs.len() && dirs.len() < 16 {
            if let Ok(text) = fs::read_to_string(dirs[at].join("info/alternates")) {
                let more =
                    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| dirs[at].join(l));
                dirs.extend(more.collect::<Vec<_>>());
            }
            at += 1;
        }
        Odb {
            dirs,
            packs: OnceCell::new(),
            commits: RefCell::default(),
            cache: RefCell::default(),
            shallow: OnceCell::new(),
        }
    }

    /// The directory that is written to.
    pub(crate) fn dir(&self) -> &Path {
        &self.dirs[0]
    }

    pub(crate) fn packs(&self) -> &[Pack] {
        self.packs.get_or_init(|| {
            let mut packs = Vec::new();
            for dir in &self.dirs {
                let mut names: Vec<PathBuf> = fs::read_dir(dir.join("pack"))
                    .into_iter()
                    .flatten()
                    .flatten()
                    .map(|entry| entry.path())
                    .filter(|path| path.extension().is_some_and(|e| e == "idx"))
                    .collect();
                names.sort();
                packs.extend(names.iter().filter_map(|idx| Pack::open(idx).ok()));
            }
            packs
        })
    }

    fn loose_path(dir: &Path, oid: &Oid) -> PathBuf {
        let hex = oid.to_string();
        dir.join(&hex[..2]).join(&hex[2..])
    }

    fn read_loose(&self, oid: &Oid) -> Res<Option<(Kind, Vec<u8>)>> {
        for dir in &self.dirs {
            let packed = match fs::read(Self::loose_path(dir, oid)) {
                Ok(packed) => packed,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            let broken = || {
                Stop::Fatal(format!(
                    "loose object {oid} (stored in {}) is corrupt",
                    Self::loose_path(dir, oid).display()
                ))
            };
            let mut data = Vec::new();
            ZlibDecoder::new(&packed[..]).take(1 << 31).read_to_end(&mut data).map_err(|_| broken())?;
            let nul = data.iter().take(64).position(|b| *b == 0).ok_or_else(broken)?;
            let mut words = data[..nul].split(|b| *b == b' ');
            let kind = words.next().and_then(Kind::parse).ok_or_else(broken)?;
            let size: usize =
                words.next().and_then(|w| std::str::from_utf8(w).ok()?.parse().ok()).ok_or_else(broken)?;
            data.drain(..=nul);
            if data.len() != size {
                return Err(broken());
            }
            return Ok(Some((kind, data)));
        }
        Ok(None)
    }

    fn read_packed(&self, oid: &Oid) -> Res<Option<(Kind, Vec<u8>)>> {
        for pack in self.packs() {
            if let Some(offset) = pack.find(oid) {
                return self.unpack(pack, offset).map(Some);
            }
        }
        Ok(None)
    }

    fn unpack(&self, pack: &Pack, mut offset: u64) -> Res<(Kind, Vec<u8>)> {
        let mut deltas = Vec::new();
        let (kind, mut data) = loop {
            if deltas.len() > MAX_CHAIN {
                fatal!("too many deltas in {}", pack.path.display());
            }
            match pack.entry(offset)? {
                Packed::Whole(kind, data) => break (kind, data),
                Packed::OfsDelta(base, delta) => {
                    deltas.push(delta);
                    offset = base;
                }
                Packed::RefDelta(base, delta) => {
                    deltas.push(delta);
                    match pack.find(&base) {
                        Some(at) => offset = at,
                        None => {
                            let (kind, data) = self.read(&base)?;
                            break (kind, data.to_vec());
                        }
                    }
                }
            }
        };
        for delta in deltas.iter().rev() {
            data = apply_delta(&data, delta)
                .ok_or_else(|| Stop::Fatal(format!("packfile {} is damaged", pack.path.display())))?;
        }
        Ok((kind, data))
    }

    /// An object, if it is there.
    pub(crate) fn try_read(&self, oid: &Oid) -> Res<Option<(Kind, Rc<Vec<u8>>)>> {
        if let Some((kind, data)) = self.cache.borrow().1.get(oid) {
            return Ok(Some((*kind, data.clone())));
        }
        let found = match self.read_loose(oid)? {
            Some(found) => Some(found),
            None => self.read_packed(oid)?,
        };
        if found.is_none() && *oid == EMPTY_TREE {
            return Ok(Some((Kind::Tree, Rc::default())));
        }
        let Some((kind, data)) = found else { return Ok(None) };
        let data = Rc::new(data);
        let mut cache = self.cache.borrow_mut();
        if cache.0 + data.len() > CACHE {
            *cache = (0, HashMap::new());
        }
        if data.len() <= CACHE / 8 {
            cache.0 += data.len();
            cache.1.insert(*oid, (kind, data.clone()));
        }
        Ok(Some((kind, data)))
    }

    /// An object.
    pub(crate) fn read(&self, oid: &Oid) -> Res<(Kind, Rc<Vec<u8>>)> {
        self.try_read(oid)?.ok_or_else(|| Stop::Fatal(format!("unable to read {oid}")))
    }

    pub(crate) fn exists(&self, oid: &Oid) -> bool {
        self.dirs.iter().any(|dir| Self::loose_path(dir, oid).exists())
            || self.packs().iter().any(|pack| pack.find(oid).is_some())
    }

    pub(crate) fn kind(&self, oid: &Oid) -> Res<Kind> {
        Ok(self.read(oid)?.0)
    }

    fn expect(&self, oid: &Oid, kind: Kind) -> Res<Rc<Vec<u8>>> {
        match self.read(oid)? {
            (found, data) if found == kind => Ok(data),
            (found, _) => fatal!("object {oid} is a {}, not a {}", found.name(), kind.name()),
        }
    }

    pub(crate) fn blob(&self, oid: &Oid) -> Res<Rc<Vec<u8>>> {
        self.expect(oid, Kind::Blob)
    }

    pub(crate) fn tree(&self, oid: &Oid) -> Res<Vec<TreeEntry>> {
        parse_tree(&self.expect(oid, Kind::Tree)?)
    }

    pub(crate) fn commit(&self, oid: &Oid) -> Res<Rc<Commit>> {
        if let Some(commit) = self.commits.borrow().get(oid) {
            return Ok(commit.clone());
        }
        let mut commit = Commit::parse(&self.expect(oid, Kind::Commit)?)?;
        if self.is_shallow(oid) {
            commit.parents.clear();
        }
        let commit = Rc::new(commit);
        self.commits.borrow_mut().insert(*oid, commit.clone());
        Ok(commit)
    }

    /// The commits whose parents are not there.
    pub(crate) fn shallow(&self) -> &HashSet<Oid> {
        self.shallow.get_or_init(|| {
            let text = fs::read(self.shallow_file()).unwrap_or_default();
            text.split(|b| *b == b'\n').filter_map(Oid::parse).collect()
        })
    }

    pub(crate) fn is_shallow(&self, oid: &Oid) -> bool {
        self.shallow().contains(oid)
    }

    fn shallow_file(&self) -> PathBuf {
        self.dirs[0].parent().unwrap_or(Path::new("")).join("shallow")
    }

    /// Writes down which commits have no parents here.
    pub(crate) fn set_shallow(&self, all: &HashSet<Oid>) -> Res<()> {
        let file = self.shallow_file();
        if all.is_empty() {
            let _ = fs::remove_file(&file);
            return Ok(());
        }
        let mut all: Vec<&Oid> = all.iter().collect();
        all.sort();
        let text: String = all.iter().map(|o| format!("{o}\n")).collect();
        Lock::new(&file)?.commit(text.as_bytes())?;
        Ok(())
    }

    /// Whether an object is in a pack.
    pub(crate) fn is_packed(&self, oid: &Oid) -> bool {
        self.packs().iter().any(|p| p.find(oid).is_some())
    }

    /// The delta that an object is stored as, and its base.
    pub(crate) fn stored_delta(&self, oid: &Oid) -> Res<Option<(Oid, Vec<u8>)>> {
        let Some((pack, offset)) = self.packs().iter().find_map(|p| Some((p, p.find(oid)?))) else {
            return Ok(None);
        };
        Ok(match pack.entry(offset)? {
            Packed::Whole(..) => None,
            Packed::OfsDelta(base, delta) => pack.name_at(base).map(|base| (base, delta)),
            Packed::RefDelta(base, delta) => Some((base, delta)),
        })
    }

    /// Puts a pack and its index into the store. Returns the name of the pack without a suffix.
    pub(crate) fn add_pack(&self, pack: &[u8], places: &[Place], sum: &Oid) -> Res<PathBuf> {
        let dir = self.dirs[0].join("pack");
        fs::create_dir_all(&dir)?;
        let base = dir.join(format!("pack-{sum}"));
        for (suffix, content) in [("pack", pack), ("idx", &index(places, sum)[..])] {
            let file = base.with_extension(suffix);
            let temporary = dir.join(format!("tmp_{suffix}_{}", &sum.to_string()[..12]));
            fs::write(&temporary, content)?;
            let _ = agentos_guest::fs::chmod(&temporary, 0o444);
            fs::rename(&temporary, &file)?;
        }
        Ok(base)
    }

    /// Takes in a pack that came from elsewhere: few objects become loose ones, many stay a pack.
    pub(crate) fn receive(&self, mut pack: Vec<u8>, limit: u32) -> Res<()> {
        let count = pack.get(8..12).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
        if count == 0 {
            return Ok(());
        }
        if count < limit {
            return unpack(&mut pack, Some(self), &mut |object| {
                self.write(object.kind, object.data).map(drop)
            })
            .map(drop);
        }
        let mut places = Vec::new();
        let sum = unpack(&mut pack, Some(self), &mut |object| {
            places.push(object.place);
            Ok(())
        })?;
        places.sort_by_key(|p| p.oid);
        self.add_pack(&pack, &places, &sum).map(drop)
    }

    /// What tags lead to at last.
    pub(crate) fn peel(&self, oid: &Oid) -> Res<(Oid, Kind)> {
        let mut oid = *oid;
        for _ in 0..64 {
            let (kind, data) = self.read(&oid)?;
            if kind != Kind::Tag {
                return Ok((oid, kind));
            }
            oid = Tag::parse(&data)?.target;
        }
        fatal!("too many tags of tags")
    }

    /// The commit that an object is or leads to.
    pub(crate) fn peel_commit(&self, oid: &Oid) -> Res<Option<Oid>> {
        let (oid, kind) = self.peel(oid)?;
        Ok((kind == Kind::Commit).then_some(oid))
    }

    /// The tree that an object is or leads to.
    pub(crate) fn peel_tree(&self, oid: &Oid) -> Res<Option<Oid>> {
        Ok(match self.peel(oid)? {
            (oid, Kind::Commit) => Some(self.commit(&oid)?.tree),
            (oid, Kind::Tree) => Some(oid),
            _ => None,
        })
    }

    /// Stores an object, unless it is there.
    pub(crate) fn write(&self, kind: Kind, data: &[u8]) -> Res<Oid> {
        let oid = hash_object(kind, data);
        if self.exists(&oid) {
            return Ok(oid);
        }
        self.write_loose(kind, data, &oid)?;
        Ok(oid)
    }

    /// Stores an object as a file of its own, though it may be in a pack.
    pub(crate) fn write_loose(&self, kind: Kind, data: &[u8], oid: &Oid) -> Res<()> {
        let path = self.loose_file(oid);
        let dir = path.parent().unwrap_or(&path);
        let failed = |error: io::Error| {
            Stop::Error(
                128,
                match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        format!(
                            "insufficient permission for adding an object to repository database {}",
                            self.dirs[0].display()
                        )
                    }
                    _ => format!(
                        "unable to write file {}: {}",
                        path.display(),
                        agentos_guest::strerror(&error)
                    ),
                },
            )
        };
        if let Err(error) = fs::create_dir(dir)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            fs::create_dir_all(dir).map_err(failed)?;
        }
        let temporary = dir.join(format!("tmp_obj_{}", &oid.to_string()[..12]));
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::new(4));
        zlib.write_all(format!("{} {}\0", kind.name(), data.len()).as_bytes())?;
        zlib.write_all(data)?;
        let packed = zlib.finish()?;
        let done = fs::write(&temporary, packed).and_then(|()| {
            let _ = agentos_guest::fs::chmod(&temporary, 0o444);
            fs::rename(&temporary, &path)
        });
        if let Err(error) = done {
            let _ = fs::remove_file(&temporary);
            return Err(failed(error));
        }
        Ok(())
    }

    /// Where an object is if it is a file of its own.
    pub(crate) fn loose_file(&self, oid: &Oid) -> PathBuf {
        Self::loose_path(&self.dirs[0], oid)
    }

    /// Removes the file of an object, and its directory if that was the last.
    pub(crate) fn remove_loose(&self, oid: &Oid) {
        let file = self.loose_file(oid);
        let _ = fs::remove_file(&file);
        let _ = file.parent().map(fs::remove_dir);
    }

    /// The packs of this store itself.
    pub(crate) fn own_packs(&self) -> Vec<PathBuf> {
        self.packs().iter().map(|p| p.path.clone()).filter(|p| p.starts_with(&self.dirs[0])).collect()
    }

    /// The objects that alternates have.
    pub(crate) fn borrowed(&self) -> HashSet<Oid> {
        let mut all: HashSet<Oid> = HashSet::new();
        for dir in &self.dirs[1..] {
            all.extend(Odb::new(dir.clone()).all());
        }
        all
    }

    /// The names that begin with these hexadecimal digits.
    pub(crate) fn abbreviated(&self, digits: &str) -> Vec<Oid> {
        let mut found = Vec::new();
        let (Some(low), Some(high)) = (
            Oid::parse(format!("{digits:0<40}").as_bytes()),
            Oid::parse(format!("{digits:f<40}").as_bytes()),
        ) else {
            return found;
        };
        for pack in self.packs() {
            pack.range(&low, &high, &mut found);
        }
        let digits = digits.to_ascii_lowercase();
        for dir in &self.dirs {
            for entry in fs::read_dir(dir.join(&digits[..2])).into_iter().flatten().flatten() {
                let name = format!("{}{}", &digits[..2], entry.file_name().to_string_lossy());
                if name.starts_with(&digits) {
                    found.extend(Oid::parse(name.as_bytes()));
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    /// Whether another object begins with the same `len` digits.
    fn ambiguous(&self, oid: &Oid, len: usize) -> bool {
        self.abbreviated(&oid.to_string()[..len]).len() > 1
    }

    /// The shortest name of at least `min` digits that only this object has.
    pub(crate) fn short(&self, oid: &Oid, min: usize) -> String {
        let hex = oid.to_string();
        let mut len = min.clamp(4, 40);
        while len < 40 && self.ambiguous(oid, len) {
            len += 1;
        }
        hex[..len].to_owned()
    }

    /// All objects that are stored.
    pub(crate) fn all(&self) -> Vec<Oid> {
        let mut all: Vec<Oid> = self.packs().iter().flat_map(Pack::names).collect();
        all.extend(self.loose());
        all.sort();
        all.dedup();
        all
    }

    /// All objects that are stored by themselves.
    pub(crate) fn loose(&self) -> Vec<Oid> {
        let mut all = Vec::new();
        for first in 0..=255u8 {
            let first = format!("{first:02x}");
            for entry in fs::read_dir(self.dirs[0].join(&first)).into_iter().flatten().flatten() {
                all.extend(Oid::parse(format!("{first}{}", entry.file_name().to_string_lossy()).as_bytes()));
            }
        }
        all
    }
}
