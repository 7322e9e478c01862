"""Small readers of Klaviyo's API that are no data source."""
