-- Who came to and went from each list, by day, and how many were on it at the day's end: no day is left out.
WITH changes AS (
    SELECT list_id, joined_on AS day, people AS joined, 0 AS gone
    FROM memberships
    UNION ALL
    SELECT list_id, gone_on, 0, people
    FROM memberships
    WHERE gone_on IS NOT NULL
),

days AS (
    SELECT list_id, unnest(generate_series(min(day), (SELECT max(day) FROM changes), INTERVAL 1 DAY))::DATE AS day
    FROM changes
    GROUP BY list_id
),

daily AS (
    SELECT list_id, day, sum(joined)::BIGINT AS joined, sum(gone)::BIGINT AS gone
    FROM (SELECT * FROM changes UNION ALL SELECT list_id, day, 0, 0 FROM days)
    GROUP BY list_id, day
)

SELECT
    daily.day,
    daily.list_id,
    list_names.name AS list_name,
    daily.joined,
    daily.gone,
    daily.joined - daily.gone AS net,
    sum(daily.joined - daily.gone) OVER (PARTITION BY daily.list_id ORDER BY daily.day)::BIGINT AS members
FROM daily
LEFT JOIN list_names ON list_names.list_id = daily.list_id
