-- How many profiles each segment had at the end of each day with a count, and the change since the count before.
SELECT
    counts.day,
    counts.segment_id,
    segment_names.name AS segment_name,
    counts.profiles,
    lag(counts.day) OVER days AS previous_day,
    counts.profiles - lag(counts.profiles) OVER days AS change
FROM segment_day_counts AS counts
LEFT JOIN segment_names ON segment_names.segment_id = counts.segment_id
WINDOW days AS (PARTITION BY counts.segment_id ORDER BY counts.day)
