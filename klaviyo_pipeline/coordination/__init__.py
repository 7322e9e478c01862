"""Several processes and machines on one account: one Postgres database that they share, for rate limits and locks."""
