"""The faults that the sandbox can be told to have."""
