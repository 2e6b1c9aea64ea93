//! Threads, sockets and timers around the pure media crate.
