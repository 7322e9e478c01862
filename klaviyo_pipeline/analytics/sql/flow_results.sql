-- How often people reacted to each flow, per day, and how many for the first time. Kept, by flow.
WITH of_people AS (
    SELECT flow_id, role, profile_id, min(day) AS day
    FROM flow_reactions
    WHERE profile_id IS NOT NULL AND in_scope(flow_id)
    GROUP BY ALL
)

SELECT flow_id, day, role AS fact, sum(times)::BIGINT AS amount
FROM flow_reactions
WHERE in_scope(flow_id)
GROUP BY ALL
UNION ALL
-- A person counts once, on the day of the first time: so unique opens of days add up to those of the flow.
SELECT flow_id, day, 'unique ' || role, count(*)
FROM of_people
GROUP BY ALL
