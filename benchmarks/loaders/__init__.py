"""The loaders that are compared. Each is a program: `python -m benchmarks.loaders.<name> '<job as JSON>'`."""
