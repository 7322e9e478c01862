-- How many people can be reached on which channel, and how many said so.
SELECT
    channel,
    kind,
    coalesce(consent, 'unknown') AS consent,
    sum(people)::BIGINT AS people,
    coalesce(sum(people) FILTER (can_receive), 0)::BIGINT AS reachable,
    max(last_updated) AS last_updated
FROM consent_states
GROUP BY ALL
