-- How many profiles each segment had at the last count of each day. A step: whole.
SELECT
    segment_id,
    day_of(observed_at) AS day,
    max_by(profile_count, observed_at) AS profiles
FROM segment_counts
WHERE profile_count IS NOT NULL
GROUP BY ALL
