"""Media sessions over the Rust core: ports, SSRCs, receivers, relays, outputs."""
