"""Benchmarks of the product against reference programs, see docs/performance.md."""
