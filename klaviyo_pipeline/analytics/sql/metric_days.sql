-- Events per day and metric: how many, of how many people, and what they come to. A step: by day.
SELECT
    day_of(events.datetime) AS day,
    events.metric_id,
    count(*) AS events,
    count(DISTINCT events.profile_id) AS unique_profiles,
    sum(signed_value(events.event_properties, metric_roles.role)) AS value,
    count(*) FILTER (is_unreadable(events.event_properties)) AS unreadable_values
FROM events
LEFT JOIN metric_roles ON metric_roles.metric_id = events.metric_id
GROUP BY ALL
