"""Small readers of Klaviyo's API that are not data sources."""
