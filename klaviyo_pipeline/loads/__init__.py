"""A load from request to landed rows. Knows nothing of Dagster."""
