"""Writes `docs/reference/`: what the code itself says about settings, commands, tables, checks and errors.

The pages are kept in git, so that they can be read without building a site and a change of behaviour shows in its
review. `make docs` writes them; a test fails while they differ from the code, or while anything has no description.
This package is no part of what is installed.
"""
