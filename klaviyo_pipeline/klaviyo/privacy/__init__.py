"""Privacy rules: which columns are dropped, hashed or redacted while pages are decoded."""
