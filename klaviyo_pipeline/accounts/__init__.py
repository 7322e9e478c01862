"""Several Klaviyo accounts of one project, from the file klaviyo.yml."""
