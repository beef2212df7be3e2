"""One way to stand the system up, for tests, chaos and benchmarks."""
