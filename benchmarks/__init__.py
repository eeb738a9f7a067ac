"""Measures what docs/benchmarks.md claims: `python -m benchmarks` runs everything on this machine and rewrites that page."""
