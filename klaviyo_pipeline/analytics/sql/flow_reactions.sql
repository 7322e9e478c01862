-- Who reacted how to which flow's messages, per day: received, opened, clicked and so on. A step: by day.
SELECT
    day_of(events.datetime) AS day,
    text_property(events.event_properties, '$flow') AS flow_id,
    metric_roles.role,
    events.profile_id,
    count(*) AS times
FROM events
INNER JOIN metric_roles ON metric_roles.metric_id = events.metric_id AND metric_roles.role NOT IN ('order', 'refund')
WHERE text_property(events.event_properties, '$flow') IS NOT NULL
GROUP BY ALL
