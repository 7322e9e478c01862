"""The report: one HTML file about the state of the tables, and what is in them. Sums and names only, no person."""
