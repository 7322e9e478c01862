"""One request to Klaviyo, done well: the client, its transport, rate limits and settings."""
