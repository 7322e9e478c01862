-- How many profiles were suppressed and freed on each day, and how many were suppressed at the day's end.
WITH changes AS (
    SELECT channel, scope, reason, suppressed_on AS day, profiles AS newly_suppressed, 0 AS freed
    FROM suppression_days
    UNION ALL
    SELECT channel, scope, reason, freed_on, 0, profiles
    FROM suppression_days
    WHERE freed_on IS NOT NULL
),

daily AS (
    SELECT day, channel, scope, reason, sum(newly_suppressed)::BIGINT AS newly_suppressed, sum(freed)::BIGINT AS freed
    FROM changes
    GROUP BY ALL
)

SELECT
    *,
    sum(newly_suppressed - freed) OVER (
        PARTITION BY channel, scope, reason ORDER BY day NULLS FIRST
    )::BIGINT AS suppressed
FROM daily
