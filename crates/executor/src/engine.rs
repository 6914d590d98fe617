//! The one engine of a process: its configuration decides how guests are isolated, preempted and limited.

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails,
};

/// Linear memory address space of a guest: all that 32 bits reach, so that no bounds check is needed.
const MEMORY_RESERVATION: u64 = 4 << 30;
/// Guard pages behind it.
const MEMORY_GUARD: u64 = 32 << 20;
/// Native stack that wasm may use; beyond it the guest ends with SIGSEGV.
const WASM_STACK: usize = 2 << 20;
/// Native stack of a guest, including the host calls at its end.
const FIBER_STACK: usize = 4 << 20;
/// Memory maps that the process needs for everything but guests.
const OTHER_MAPS: u32 = 15_000;
/// Memory maps that a live guest may need: a clone whose memory was moved in needs two more than others.
const MAPS_PER_GUEST: u32 = 8;
/// Most guests at once, whatever the machine allows.
const MOST_SLOTS: u32 = 6_000;

/// How many guests can be alive at once on this machine: bounded by the kernel's `vm.max_map_count`, because running
/// out of memory maps would fail the whole process and not one guest.
#[must_use]
pub fn slots() -> u32 {
    let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .unwrap_or(65_530);
    (maps.saturating_sub(OTHER_MAPS) / MAPS_PER_GUEST).clamp(16, MOST_SLOTS)
}

/// What compiled code depends on; an engine that compiles and one that runs must agree in it.
fn common() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_guard_size(MEMORY_GUARD)
        .memory_init_cow(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .wasm_simd(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .wasm_backtrace_max_frames(None);
    config
}

/// An engine that runs guests, with all their slots reserved (address space only).
pub(crate) fn runner() -> wasmtime::Result<Engine> {
    let slots = slots();
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(slots)
        .total_memories(slots)
        .total_tables(slots)
        .total_stacks(slots)
        .max_memories_per_module(1)
        .max_tables_per_module(1)
        .table_elements(64 << 10)
        .max_core_instance_size(1 << 20)
        .max_memory_size(usize::try_from(MEMORY_RESERVATION).unwrap_or(usize::MAX))
        .max_unused_warm_slots(64)
        // Keeping pages resident costs gigabytes after a burst and is not even faster.
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .async_stack_keep_resident(0);
    let mut config = common();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

/// An engine that only compiles: its images run in [`runner`].
pub(crate) fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(&common())
}
