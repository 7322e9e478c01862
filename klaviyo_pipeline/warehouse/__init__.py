"""DuckDB: lands Arrow rows in tables, and remembers what was landed. Knows nothing of HTTP or Klaviyo's API."""
