//! The image cache: native code made from wasm, kept on disk between runs.
//!
//! Native code is only ever loaded from here: a directory of mode 0700 that the user owns, files named by the engine's
//! compatibility hash and the content hash of the wasm, written under another name and renamed. It never loads an
//! image from anywhere else and never compiles in this process what a guest brought.

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
    /// No home directory and no `XDG_CACHE_HOME`.
    #[error("no directory for program images: set AGENTOS_CACHE_DIR, XDG_CACHE_HOME or HOME")]
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
    /// The user's cache directory: `AGENTOS_CACHE_DIR` ▸ `XDG_CACHE_HOME/agentos` ▸ `HOME/.cache/agentos`.
    pub fn default_directory() -> Result<PathBuf, CacheError> {
        let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        set("AGENTOS_CACHE_DIR")
            .or_else(|| set("XDG_CACHE_HOME").map(|d| d.join("agentos")))
            .or_else(|| set("HOME").map(|d| d.join(".cache/agentos")))
            .filter(|d| d.is_absolute())
            .map(|d| d.join("images"))
            .ok_or(CacheError::NoDirectory)
    }

    /// Opens (and makes) the cache in `directory`. Refused unless it is a real directory, ours, of mode 0700.
    pub fn open(directory: &Path, engine: &Engine) -> Result<Self, CacheError> {
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

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        self.directory.join(format!("{:016x}-{hex}.cwasm", self.compatibility))
    }

    /// Whether there is an image of this content.
    #[must_use]
    pub fn contains(&self, hash: &[u8; 32]) -> bool {
        self.path(hash).exists()
    }

    /// Maps the image of this content; `None` if there is none (or one that the engine refuses, which is removed).
    pub fn load(&self, engine: &Engine, hash: &[u8; 32]) -> Result<Option<Module>, CacheError> {
        let path = self.path(hash);
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
        // SAFETY: the file lies in a directory of mode 0700 that we own, is a regular file that only we can write, and was
        // written by `store` from the engine's own serialisation; images are replaced by rename only, never in place.
        match unsafe { Module::deserialize_file(engine, &path) } {
            Ok(module) => Ok(Some(module)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "image refused by the engine, removed");
                let _ = std::fs::remove_file(&path);
                Ok(None)
            }
        }
    }

    /// Stores an image of this content: written under another name, synced, renamed.
    pub fn store(&self, hash: &[u8; 32], image: &[u8]) -> Result<(), CacheError> {
        let path = self.path(hash);
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
    pub fn compile(&self, engine: &Engine, wasm: &[u8]) -> Result<(), CacheError> {
        let image =
            engine.precompile_module(wasm).map_err(|e| CacheError::Compile { reason: format!("{e:#}") })?;
        self.store(&content_hash(wasm), &image)
    }
}
