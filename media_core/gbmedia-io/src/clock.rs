//! The node's clock: CLOCK_MONOTONIC, the same as Python's `time.monotonic()`.

use nix::time::{clock_gettime, ClockId};

/// Microseconds since an arbitrary start (boot).
pub fn now_micros() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists on Linux");
    now.tv_sec() as u64 * 1_000_000 + now.tv_nsec() as u64 / 1_000
}
