"""Measurements of this project beside a plain loader and dlt. Start with `python -m benchmarks.run --help`."""
