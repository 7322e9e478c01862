"""The assets, and the IO manager that lands them."""
