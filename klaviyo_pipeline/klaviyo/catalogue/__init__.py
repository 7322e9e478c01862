"""The data sources, declared: their columns, filters and revisions."""
