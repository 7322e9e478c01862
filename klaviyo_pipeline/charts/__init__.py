"""Small charts of what is in the database: counts over time, drawn as PNG images. Knows neither Dagster nor Klaviyo."""
