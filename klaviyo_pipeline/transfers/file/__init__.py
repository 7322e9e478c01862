"""The transfer file: its grammar, model and problems."""
