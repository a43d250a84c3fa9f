"""What the figures of docs/benchmarks/ and of the README come from: `make bench`."""
