"""Transfers: imports configured in a file, previewed, scheduled and watched."""
