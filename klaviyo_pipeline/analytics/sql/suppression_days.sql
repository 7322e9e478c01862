-- How many suppressions began on each day, by the day on which they were found gone. A step: whole.
SELECT
    channel,
    scope,
    reason,
    day_of(suppressed_at) AS suppressed_on,
    day_of(_deleted_at) AS freed_on,
    count(*) AS profiles
FROM suppressions
GROUP BY ALL
