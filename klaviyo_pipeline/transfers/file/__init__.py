"""The transfer file: its grammar, its model, its problems."""
