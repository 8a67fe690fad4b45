"""Benchmarks: ratios beside a baseline in the same invocation; `python -m bench` prints them and writes JSON."""
