"""Klaviyo into DuckDB as Dagster assets."""

__version__ = "0.1.0"
