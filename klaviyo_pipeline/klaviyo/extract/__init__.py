"""From a request to staged pages."""
