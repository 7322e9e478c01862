"""The bytes of a page to Arrow."""
