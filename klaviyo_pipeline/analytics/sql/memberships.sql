-- How many people joined each list on each day, by the day on which they were found gone. A step: whole.
SELECT
    list_id,
    day_of(joined_group_at) AS joined_on,
    day_of(_deleted_at) AS gone_on,
    count(*) AS people
FROM list_profiles
WHERE joined_group_at IS NOT NULL
GROUP BY ALL
