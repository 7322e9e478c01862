"""Small charts of counts over time, as PNG images. Knows neither Dagster nor Klaviyo."""
