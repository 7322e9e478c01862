"""DuckDB: lands Arrow rows in tables, and keeps the ledger. Knows nothing of HTTP or Klaviyo's API."""
