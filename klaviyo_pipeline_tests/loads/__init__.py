"""Loads, without Dagster."""
