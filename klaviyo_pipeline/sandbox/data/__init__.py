"""The rows of the sandbox."""
