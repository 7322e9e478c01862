"""Analytics: tables in SQL that follow from what was loaded, enough for a first dashboard."""
