"""Staged pages on disk."""
