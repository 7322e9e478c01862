"""Analytics: tables in SQL from the loaded tables, for a first dashboard."""
