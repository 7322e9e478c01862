"""Transfers: imports as files, with preview, schedule and history."""
