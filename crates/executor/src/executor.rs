//! The executor of a process: engine, linker, guest runtime, image cache and the programs it knows.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use wasmtime::{Engine, Linker};

use crate::cache::{CacheError, ImageCache, Origin, content_hash};
use crate::guest::Guest;
use crate::program::{Program, ProgramError};
use crate::runtime::{GuestRuntime, Ticker};

/// Threads of the guest runtime per core.
const THREADS_PER_CORE: usize = 4;
/// Programs of guests that stay loaded when none runs them.
const LOADED_PROGRAMS: usize = 256;
/// Programs of guests that can be loaded at all. Each takes a few memory maps, which the whole process shares.
const MOST_MODULES: u32 = 1024;
/// How long the compiler of a guest's module may take.
const COMPILE_TIME: Duration = Duration::from_secs(60);
/// Address space of the compiler of a guest's module, bytes.
const COMPILE_MEMORY: u64 = 4 << 30;
/// Characters of a message of such a compiler.
const MESSAGE: usize = 1000;
/// Compilers at once.
const COMPILERS: usize = 2;

/// A program that ships with the product.
#[derive(Clone, Copy, Debug)]
pub struct Bundled {
    /// Its name, for progress and errors.
    pub name: &'static str,
    /// Its wasm.
    pub wasm: &'static [u8],
    /// [`content_hash`] of it, computed when the product was built.
    pub hash: [u8; 32],
}

/// What an executor starts with.
pub struct ExecutorConfig {
    /// Where images are kept; `None` for the user's cache directory.
    pub cache_directory: Option<PathBuf>,
    /// Programs that ship with the product.
    pub bundled: Vec<Bundled>,
    /// The command that runs [`compile_child`], for modules of guests.
    pub compiler: Vec<std::ffi::OsString>,
    /// Where the timers of guests run.
    pub timers: tokio::runtime::Handle,
}

/// Why the executor cannot start or a bundled program is missing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutorError {
    /// The engine refused its configuration: too little address space, or an unsupported machine.
    #[error("WebAssembly engine: {reason}")]
    Engine {
        /// What it says.
        reason: String,
    },
    /// The image cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A bundled program.
    #[error("bundled program {name}: {source}")]
    Bundled {
        /// Which.
        name: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// Threads could not be started.
    #[error("start threads: {0}")]
    Threads(#[from] std::io::Error),
}

/// Runs the guests of all VMs of this process.
pub struct Executor {
    engine: Engine,
    linker: Linker<Guest>,
    runtime: GuestRuntime,
    cache: ImageCache,
    bundled: Vec<Bundled>,
    /// Loaded bundled programs by the address of their wasm, which no guest can change.
    bundled_programs: RwLock<HashMap<usize, Arc<Program>>>,
    programs: Mutex<Vec<([u8; 32], Arc<Program>)>>,
    compiler: Vec<std::ffi::OsString>,
    compiling: Arc<tokio::sync::Semaphore>,
    slots: Arc<AtomicU32>,
    slot_limit: u32,
    modules: Arc<AtomicU32>,
}

/// The right to have one instance alive, or one module loaded; given back when dropped.
pub(crate) struct Slot(Arc<AtomicU32>);

fn take(used: &Arc<AtomicU32>, limit: u32) -> Option<Slot> {
    used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n < limit).then_some(n + 1))
        .ok()
        .map(|_| Slot(Arc::clone(used)))
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Executor {
    /// An executor; bundled programs are loaded by [`Executor::prepare`].
    pub fn new(config: ExecutorConfig) -> Result<Arc<Self>, ExecutorError> {
        let failed = |e: wasmtime::Error| ExecutorError::Engine { reason: format!("{e:#}") };
        let engine = crate::engine::runner().map_err(failed)?;
        let linker = crate::host::linker(&engine).map_err(failed)?;
        let directory = match config.cache_directory {
            Some(directory) => directory,
            None => ImageCache::default_directory()?,
        };
        let cache = ImageCache::open(&directory, &engine)?;
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let ticker = Ticker::new(&engine)?;
        let runtime = GuestRuntime::start(cores * THREADS_PER_CORE, config.timers, ticker)?;
        Ok(Arc::new(Self {
            engine,
            linker,
            runtime,
            cache,
            bundled: config.bundled,
            bundled_programs: RwLock::default(),
            programs: Mutex::default(),
            compiler: config.compiler,
            compiling: Arc::new(tokio::sync::Semaphore::new(COMPILERS)),
            slots: Arc::default(),
            modules: Arc::default(),
            // A few slots stay free for clones that are just being undone.
            slot_limit: crate::engine::slots().saturating_sub(8),
        }))
    }

    /// The images that are still missing.
    #[must_use]
    pub fn missing_images(&self) -> Vec<&'static str> {
        self.bundled
            .iter()
            .filter(|b| !self.cache.contains(Origin::Product, &b.hash))
            .map(|b| b.name)
            .collect()
    }

    /// Loads all bundled programs, compiling images that are missing; `progress` is told how many of how many are done.
    /// Blocking: seconds when images are missing, else milliseconds.
    pub fn prepare(&self, mut progress: impl FnMut(&'static str, usize, usize)) -> Result<(), ExecutorError> {
        let missing: Vec<_> =
            self.bundled.iter().filter(|b| !self.cache.contains(Origin::Product, &b.hash)).copied().collect();
        if !missing.is_empty() {
            let compiler =
                crate::engine::compiler().map_err(|e| ExecutorError::Engine { reason: format!("{e:#}") })?;
            for (done, bundled) in missing.iter().enumerate() {
                progress(bundled.name, done, missing.len());
                self.cache.compile(&compiler, Origin::Product, bundled.wasm)?;
            }
            progress("programs", missing.len(), missing.len());
        }
        for bundled in &self.bundled {
            let failed = |source| ExecutorError::Bundled { name: bundled.name, source };
            let module = self.cache.load(&self.engine, Origin::Product, &bundled.hash)?.ok_or_else(|| {
                failed(ProgramError::Image {
                    reason: "the engine refused the image that was just made".into(),
                })
            })?;
            let program = Program::new(&self.linker, &module, None).map_err(failed)?;
            self.bundled_programs.write().insert(bundled.wasm.as_ptr() as usize, Arc::new(program));
        }
        Ok(())
    }

    /// The bundled program whose wasm lies exactly here.
    pub(crate) fn bundled(&self, wasm: &[u8]) -> Option<Arc<Program>> {
        let program = self.bundled_programs.read().get(&(wasm.as_ptr() as usize)).cloned()?;
        let known =
            self.bundled.iter().any(|b| b.wasm.as_ptr() == wasm.as_ptr() && b.wasm.len() == wasm.len());
        known.then_some(program)
    }

    /// The program of a module that a guest brought: loaded, from the cache, or compiled in a child process.
    pub(crate) async fn load(self: &Arc<Self>, wasm: Vec<u8>) -> Result<Arc<Program>, ProgramError> {
        let hash = content_hash(&wasm);
        if let Some(program) = self.loaded(&hash) {
            return Ok(program);
        }
        let image = |reason: String| ProgramError::Image { reason };
        let slot = take(&self.modules, MOST_MODULES).or_else(|| {
            // Those kept for next time make room for this one.
            self.programs.lock().clear();
            take(&self.modules, MOST_MODULES)
        });
        let slot = slot.ok_or(ProgramError::TooMany { most: MOST_MODULES })?;
        let mut module =
            self.cache.load(&self.engine, Origin::Guest, &hash).map_err(|e| image(e.to_string()))?;
        if module.is_none() {
            let permit =
                Arc::clone(&self.compiling).acquire_owned().await.map_err(|e| image(e.to_string()))?;
            if !self.cache.contains(Origin::Guest, &hash) {
                let executor = Arc::clone(self);
                // The permit stays with the compiler: a guest that is killed meanwhile must not free it.
                tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    executor.compile_in_child(&wasm)
                })
                .await
                .map_err(|e| image(e.to_string()))??;
            }
            module = self.cache.load(&self.engine, Origin::Guest, &hash).map_err(|e| image(e.to_string()))?;
        }
        let module = module.ok_or_else(|| image("it is missing after it was compiled".into()))?;
        let program = Arc::new(Program::new(&self.linker, &module, Some(slot))?);
        let mut programs = self.programs.lock();
        if programs.len() >= LOADED_PROGRAMS {
            programs.remove(0);
        }
        programs.push((hash, Arc::clone(&program)));
        Ok(program)
    }

    fn loaded(&self, hash: &[u8; 32]) -> Option<Arc<Program>> {
        self.programs.lock().iter().find(|(h, _)| h == hash).map(|(_, p)| Arc::clone(p))
    }

    /// Compiles in a child process that is limited in time and memory: a guest's module may be made to hurt a compiler.
    fn compile_in_child(&self, wasm: &[u8]) -> Result<(), ProgramError> {
        let image = |reason: String| ProgramError::Image { reason };
        let (program, arguments) =
            self.compiler.split_first().ok_or_else(|| image("no compiler is configured".into()))?;
        let deadline = Instant::now() + COMPILE_TIME;
        let mut child = Command::new(program)
            .args(arguments)
            .arg(self.cache.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| image(format!("start {}: {e}", program.display())))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A compiler that gives up early closes its input; its exit status tells why.
            let _ = stdin.write_all(wasm);
        }
        let status = loop {
            match child.try_wait().map_err(|e| image(e.to_string()))? {
                Some(status) => break status,
                None if Instant::now() >= deadline => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(image(format!("compiling it took more than {} s", COMPILE_TIME.as_secs())));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let mut message = String::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut std::io::Read::take(stderr, 4096), &mut message);
        }
        match status.code() {
            Some(0) => Ok(()),
            Some(1) => Err(ProgramError::Invalid { reason: message.trim().to_owned() }),
            _ => Err(image(format!("its compiler ended with {status}: {}", message.trim()))),
        }
    }

    /// Where images are kept.
    #[must_use]
    pub fn cache_directory(&self) -> &std::path::Path {
        self.cache.directory()
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The guest runtime.
    #[must_use]
    pub fn runtime(&self) -> &GuestRuntime {
        &self.runtime
    }

    /// A slot for one more instance; `None` when the machine's address space is used up.
    pub(crate) fn take_slot(&self) -> Option<Slot> {
        take(&self.slots, self.slot_limit)
    }

    /// Live instances and how many there can be.
    #[must_use]
    pub fn slot_usage(&self) -> (u32, u32) {
        (self.slots.load(Ordering::Relaxed), self.slot_limit)
    }
}

/// The body of the compiler child process: wasm on standard input, the image goes to the cache in `directory`. Returns the
/// exit status: 0 done, 1 not a valid module (the reason on standard error), 2 anything else.
#[must_use]
pub fn compile_child(directory: &std::path::Path) -> u8 {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |n: u64| Rlimit { current: Some(n), maximum: Some(n) };
    let limits =
        [(Resource::As, COMPILE_MEMORY), (Resource::Cpu, COMPILE_TIME.as_secs()), (Resource::Core, 0)];
    for (resource, n) in limits {
        if let Err(error) = setrlimit(resource, limit(n)) {
            complain(&format!("limit the compiler: {error}"));
            return 2;
        }
    }
    let mut wasm = Vec::new();
    if let Err(error) = std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut wasm) {
        complain(&format!("read the module: {error}"));
        return 2;
    }
    let engine = match crate::engine::compiler() {
        Ok(engine) => engine,
        Err(error) => {
            complain(&format!("engine: {error:#}"));
            return 2;
        }
    };
    if let Err(error) = wasmtime::Module::validate(&engine, &wasm) {
        complain(&format!("{error:#}"));
        return 1;
    }
    let cache = match ImageCache::open(directory, &engine) {
        Ok(cache) => cache,
        Err(error) => {
            complain(&format!("{error}"));
            return 2;
        }
    };
    match cache.compile(&engine, Origin::Guest, &wasm) {
        Ok(()) => 0,
        Err(error) => {
            complain(&format!("{error}"));
            2
        }
    }
}

/// A message of the compiler to whoever started it, who reads it only at the end: a pipe must hold it, however long the
/// names are that a module brings.
fn complain(message: &str) {
    let short: String = message.chars().take(MESSAGE).collect();
    eprintln!("{short}");
}
