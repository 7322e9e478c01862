-- How many profiles each list had at the end of each day with a count, and the change since the count before.
SELECT
    counts.day,
    counts.list_id,
    list_names.name AS list_name,
    counts.profiles,
    lag(counts.day) OVER days AS previous_day,
    counts.profiles - lag(counts.profiles) OVER days AS change
FROM list_day_counts AS counts
LEFT JOIN list_names ON list_names.list_id = counts.list_id
WINDOW days AS (PARTITION BY counts.list_id ORDER BY counts.day)
