"""Klaviyo into DuckDB as Dagster assets."""
