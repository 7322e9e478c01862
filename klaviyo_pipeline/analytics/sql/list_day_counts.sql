-- How many profiles each list had at the last count of each day. A step: whole.
SELECT
    list_id,
    day_of(observed_at) AS day,
    max_by(profile_count, observed_at) AS profiles
FROM list_counts
WHERE profile_count IS NOT NULL
GROUP BY ALL
