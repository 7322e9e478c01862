"""The faults of the sandbox."""
