//! The image cache: native code made from wasm, kept on disk between runs.
//!
//! Native code is only ever loaded from here: a directory of mode 0700 that the user owns, files named by the engine's
//! compatibility hash and the content hash of the wasm, written under another name and renamed. It never loads an
//! image from anywhere else and never compiles in this process what a guest brought. Images of guests' modules are bounded;
//! the least recently used go. One that is mapped may go too: its mapping stays.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmtime::{Engine, Module};

/// Why the image cache cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// `AGENTOS_CACHE_DIR` is relative.
    #[error("no directory for program images: AGENTOS_CACHE_DIR is not an absolute path")]
    NoDirectory,
    /// The directory is not safe to load code from.
    #[error(
        "{path}: not used as image cache, because {reason}; remove it or set AGENTOS_CACHE_DIR to another directory"
    )]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file operation failed.
    #[error("{operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The compiler refused the module.
    #[error("compile: {reason}")]
    Compile {
        /// What it says.
        reason: String,
    },
}

/// Bytes of all images of guests' modules together.
const GUEST_BYTES: u64 = 2 << 30;
/// How many they may be.
const GUEST_IMAGES: usize = 512;
/// No file is written for so long.
const ABANDONED: std::time::Duration = std::time::Duration::from_secs(300);
/// The end of the name of such an image.
const GUEST_END: &str = "guest.cwasm";

/// Where a module comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The product: its image stays until the user deletes it.
    Product,
    /// A guest: its image may be dropped for others.
    Guest,
}

/// A directory of images.
#[derive(Clone, Debug)]
pub struct ImageCache {
    directory: PathBuf,
    compatibility: u64,
}

/// The content hash of a wasm module.
#[must_use]
pub fn content_hash(wasm: &[u8]) -> [u8; 32] {
    *blake3::hash(wasm).as_bytes()
}

impl ImageCache {
    /// The user's cache directory: `AGENTOS_CACHE_DIR` ▸ `XDG_CACHE_HOME/agentos` ▸ `HOME/.cache/agentos` ▸ the same in
    /// the home that the user database names ▸ `/tmp/agentos-<uid>/cache`. It is not made, but what is above it in `/tmp` is.
    pub fn default_directory() -> Result<PathBuf, CacheError> {
        let chosen = choose(|name| std::env::var_os(name).map(PathBuf::from), std::env::home_dir())?;
        let directory = match chosen {
            Some(directory) => directory,
            None => {
                let own = format!("/tmp/agentos-{}", rustix::process::geteuid().as_raw());
                private_directory(Path::new(&own))?;
                Path::new(&own).join("cache")
            }
        };
        Ok(directory.join("images"))
    }

    /// Opens (and makes) the cache in `directory`. Refused unless it is a real directory, ours, of mode 0700.
    pub fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let io = |operation, source| CacheError::Io { operation, path: directory.to_owned(), source };
        let meta = own_directory(directory)?;
        if meta.mode() & 0o777 != 0o700 {
            // It is ours: a umask or a copy may have widened it before anything was put in.
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
                .map_err(|e| io("chmod", e))?;
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        // Images of another version of this program are never loaded, even if the engine would accept them.
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        Ok(Self { directory: directory.to_owned(), compatibility: hasher.finish() })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, origin: Origin, hash: &[u8; 32]) -> PathBuf {
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        let end = match origin {
            Origin::Product => "cwasm",
            Origin::Guest => GUEST_END,
        };
        self.directory.join(format!("{:016x}-{hex}.{end}", self.compatibility))
    }

    /// Whether there is an image of this content.
    #[must_use]
    pub fn contains(&self, origin: Origin, hash: &[u8; 32]) -> bool {
        self.path(origin, hash).exists()
    }

    /// Maps the image of this content; `None` if there is none (or one that the engine refuses, which is removed).
    pub fn load(
        &self,
        engine: &Engine,
        origin: Origin,
        hash: &[u8; 32],
    ) -> Result<Option<Module>, CacheError> {
        let path = self.path(origin, hash);
        let meta = match std::fs::symlink_metadata(&path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CacheError::Io { operation: "stat", path, source }),
        };
        let uid = rustix::process::geteuid().as_raw();
        if !meta.is_file() || meta.uid() != uid || meta.mode() & 0o022 != 0 {
            return Err(CacheError::Unsafe {
                path,
                reason: "an image in it is not a file that only we can write".into(),
            });
        }
        if meta.nlink() != 1 {
            // Whoever can write where its other name is could change it there. A new file is made.
            tracing::warn!(path = %path.display(), "an image has a second name; it is made anew");
            let _ = std::fs::remove_file(&path);
            return Ok(None);
        }
        // SAFETY: the file lies in a directory of mode 0700 that we own, is a regular file that only we can write, and was
        // written by `store` from the engine's own serialisation; images are replaced by rename only, never in place.
        match unsafe { Module::deserialize_file(engine, &path) } {
            Ok(module) => {
                if origin == Origin::Guest {
                    touch(&path);
                }
                Ok(Some(module))
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "image refused by the engine, removed");
                let _ = std::fs::remove_file(&path);
                Ok(None)
            }
        }
    }

    /// Stores an image of this content: written under another name, synced, renamed.
    pub fn store(&self, origin: Origin, hash: &[u8; 32], image: &[u8]) -> Result<(), CacheError> {
        let path = self.path(origin, hash);
        if origin == Origin::Guest {
            self.make_room(GUEST_BYTES.saturating_sub(image.len() as u64), GUEST_IMAGES - 1)?;
        }
        let temporary =
            self.directory.join(format!(".{}-{:016x}", std::process::id(), rand::random::<u64>()));
        let io = |operation, source| CacheError::Io { operation, path: temporary.clone(), source };
        let write = || {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&temporary)
                .map_err(|e| io("create", e))?;
            file.write_all(image).map_err(|e| io("write", e))?;
            file.sync_all().map_err(|e| io("sync", e))?;
            std::fs::rename(&temporary, &path).map_err(|e| io("rename", e))
        };
        let result = write();
        if result.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        result
    }

    /// Compiles `wasm` in this process and stores the image. Only for modules that ship with the product, or inside the
    /// limited child process that compiles a guest's module.
    pub fn compile(&self, engine: &Engine, origin: Origin, wasm: &[u8]) -> Result<(), CacheError> {
        let image =
            engine.precompile_module(wasm).map_err(|e| CacheError::Compile { reason: format!("{e:#}") })?;
        self.store(origin, &content_hash(wasm), &image)
    }

    /// Drops the images of guests that were not used for longest, until the rest is within these bounds.
    fn make_room(&self, bytes: u64, images: usize) -> Result<(), CacheError> {
        let io = |source| CacheError::Io { operation: "list", path: self.directory.clone(), source };
        let mut kept = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(io)? {
            let entry = entry.map_err(io)?;
            let (name, meta) = (entry.file_name(), entry.metadata());
            // What another sidecar drops meanwhile is gone, which is all we want.
            let (Some(name), Ok(meta)) = (name.to_str(), meta) else { continue };
            let modified = meta.modified().unwrap_or(std::time::UNIX_EPOCH);
            if name.ends_with(GUEST_END) {
                kept.push((modified, meta.len(), entry.path()));
            } else if name.starts_with('.') && modified.elapsed().is_ok_and(|age| age > ABANDONED) {
                // Its writer was killed before it could rename it.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        kept.sort();
        let mut total: u64 = kept.iter().map(|(_, size, _)| size).sum();
        let mut left = kept.len();
        for (_, size, path) in kept {
            if total <= bytes && left <= images {
                break;
            }
            let _ = std::fs::remove_file(path);
            total -= size;
            left -= 1;
        }
        Ok(())
    }
}

/// The cache of this environment and this home; `None` if neither names one that can be.
fn choose(
    env: impl Fn(&str) -> Option<PathBuf>,
    home: Option<PathBuf>,
) -> Result<Option<PathBuf>, CacheError> {
    let set = |name: &str| env(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(directory) = set("AGENTOS_CACHE_DIR") {
        // What was asked for by name is never replaced by something else.
        return if directory.is_absolute() { Ok(Some(directory)) } else { Err(CacheError::NoDirectory) };
    }
    // A relative one is to be ignored, says the XDG Base Directory Specification.
    if let Some(cache) = set("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
        return Ok(Some(cache.join("agentos")));
    }
    if let Some(home) = set("HOME").filter(|path| path.is_absolute()) {
        return Ok(Some(home.join(".cache/agentos")));
    }
    // Users of services have a home in the database that is not there, or not theirs.
    let uid = rustix::process::geteuid().as_raw();
    let theirs = |home: &PathBuf| {
        home.is_absolute() && std::fs::metadata(home).is_ok_and(|meta| meta.is_dir() && meta.uid() == uid)
    };
    Ok(home.filter(theirs).map(|home| home.join(".cache/agentos")))
}

/// Makes a directory if it is missing, and makes sure that it is a real one, and ours.
fn own_directory(directory: &Path) -> Result<std::fs::Metadata, CacheError> {
    let io = |operation, source| CacheError::Io { operation, path: directory.to_owned(), source };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|e| io("create directory", e))?;
    let meta = std::fs::symlink_metadata(directory).map_err(|e| io("stat", e))?;
    let reject = |reason: String| CacheError::Unsafe { path: directory.to_owned(), reason };
    if !meta.is_dir() {
        return Err(reject("it is not a directory".into()));
    }
    let uid = rustix::process::geteuid().as_raw();
    if meta.uid() != uid {
        return Err(reject(format!("it belongs to user {}, not to {uid}", meta.uid())));
    }
    Ok(meta)
}

/// The same for one in a directory that everybody can write: others must never have been able to put anything in.
fn private_directory(directory: &Path) -> Result<(), CacheError> {
    let mode = own_directory(directory)?.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(CacheError::Unsafe {
        path: directory.to_owned(),
        reason: format!("its mode {mode:o} lets others in"),
    })
}

/// Notes that an image was used. Without it the image only looks older than it is.
fn touch(path: &Path) {
    let now = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    if let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) {
        let _ = file.set_times(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(directory: &Path) -> (Engine, Result<ImageCache, CacheError>) {
        let engine = crate::engine::compiler().unwrap();
        let cache = ImageCache::open(directory, &engine);
        (engine, cache)
    }

    #[test]
    fn code_is_only_loaded_from_what_nobody_else_can_write() {
        let temp = tempfile::tempdir().unwrap();
        let directory = temp.path().join("images");
        std::fs::create_dir(&directory).unwrap();
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
        let (engine, cache) = cache(&directory);
        let cache = cache.unwrap();
        assert_eq!(directory.metadata().unwrap().mode() & 0o777, 0o700, "others could put code in");
        let wasm = b"\0asm\x01\0\0\0";
        let hash = content_hash(wasm);
        cache.compile(&engine, Origin::Product, wasm).unwrap();
        assert!(cache.load(&engine, Origin::Product, &hash).unwrap().is_some());
        assert!(cache.load(&engine, Origin::Guest, &hash).unwrap().is_none());
        // A link, or a file that others may write, is refused and stays.
        let path = cache.path(Origin::Product, &hash);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(cache.load(&engine, Origin::Product, &hash), Err(CacheError::Unsafe { .. })));
        let link = cache.path(Origin::Guest, &hash);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(cache.load(&engine, Origin::Guest, &hash), Err(CacheError::Unsafe { .. })));
        // What the engine does not know is dropped, not run.
        std::fs::remove_file(&path).unwrap();
        cache.store(Origin::Product, &hash, b"no image").unwrap();
        assert!(cache.load(&engine, Origin::Product, &hash).unwrap().is_none());
        assert!(!path.exists());
        // What has a second name, where others may write, is made anew.
        cache.compile(&engine, Origin::Product, wasm).unwrap();
        let second = temp.path().join("second");
        std::fs::hard_link(&path, &second).unwrap();
        assert!(cache.load(&engine, Origin::Product, &hash).unwrap().is_none());
        cache.compile(&engine, Origin::Product, wasm).unwrap();
        assert!(cache.load(&engine, Origin::Product, &hash).unwrap().is_some() && second.exists());
    }

    #[test]
    fn the_directory_is_the_first_that_can_be() {
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<PathBuf>, Option<&'a str>);
        let temp = tempfile::tempdir().unwrap();
        let home = || Some(temp.path().to_owned());
        let in_home = temp.path().join(".cache/agentos");
        let in_home = in_home.to_str().unwrap();
        let all = [("AGENTOS_CACHE_DIR", "/a"), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")];
        let cases: [Case<'_>; 9] = [
            (&all, home(), Some("/a")),
            (&all[1..], home(), Some("/x/agentos")),
            (&all[2..], home(), Some("/h/.cache/agentos")),
            (
                &[("AGENTOS_CACHE_DIR", ""), ("XDG_CACHE_HOME", "x"), ("HOME", "/h")],
                home(),
                Some("/h/.cache/agentos"),
            ),
            (&[("HOME", "")], home(), Some(in_home)),
            (&[], home(), Some(in_home)),
            (&[], Some("/nonexistent".into()), None),
            (&[], Some("relative".into()), None),
            (&[], None, None),
        ];
        for (variables, home, expected) in cases {
            let env = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| PathBuf::from(v));
            assert_eq!(choose(env, home).unwrap().as_deref(), expected.map(Path::new), "{variables:?}");
        }
        let relative = |name: &str| (name == "AGENTOS_CACHE_DIR").then(|| PathBuf::from("a"));
        assert!(matches!(choose(relative, home()), Err(CacheError::NoDirectory)));
    }

    #[test]
    fn a_directory_in_tmp_is_refused_if_others_could_put_something_in() {
        let temp = tempfile::tempdir().unwrap();
        let own = temp.path().join("agentos-1");
        private_directory(&own).unwrap();
        assert_eq!(own.metadata().unwrap().mode() & 0o777, 0o700);
        private_directory(&own).unwrap();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o770)).unwrap();
        assert!(matches!(private_directory(&own), Err(CacheError::Unsafe { .. })));
        let link = temp.path().join("agentos-2");
        std::os::unix::fs::symlink(temp.path(), &link).unwrap();
        assert!(matches!(private_directory(&link), Err(CacheError::Unsafe { .. })));
    }

    #[test]
    fn a_directory_that_is_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", temp.path().join("images")).unwrap();
        let (_, cache) = cache(&temp.path().join("images"));
        assert!(matches!(cache, Err(CacheError::Unsafe { .. })));
    }

    #[test]
    fn images_of_guests_are_bounded_and_those_of_the_product_stay() {
        let temp = tempfile::tempdir().unwrap();
        let (_, cache) = cache(temp.path());
        let cache = cache.unwrap();
        cache.store(Origin::Product, &[9; 32], &[0; 100]).unwrap();
        for n in 0..4 {
            cache.store(Origin::Guest, &[n; 32], &[0; 100]).unwrap();
            let used = std::time::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(n));
            let file =
                std::fs::File::options().write(true).open(cache.path(Origin::Guest, &[n; 32])).unwrap();
            file.set_modified(used).unwrap();
        }
        let there = || (0..4).filter(|n| cache.contains(Origin::Guest, &[*n; 32])).collect::<Vec<_>>();
        touch(&cache.path(Origin::Guest, &[0; 32]));
        let (left, new) = (temp.path().join(".1-2"), temp.path().join(".1-3"));
        for file in [&left, &new] {
            std::fs::write(file, "").unwrap();
        }
        std::fs::File::options()
            .write(true)
            .open(&left)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        cache.make_room(1_000, 3).unwrap();
        assert!(!left.exists() && new.exists(), "what a killed compiler left goes");
        assert_eq!(there(), [0, 2, 3], "the least recently used goes");
        cache.make_room(250, 3).unwrap();
        assert_eq!(there(), [0, 3]);
        cache.make_room(0, 0).unwrap();
        assert_eq!(there(), []);
        assert!(cache.contains(Origin::Product, &[9; 32]));
    }
}
