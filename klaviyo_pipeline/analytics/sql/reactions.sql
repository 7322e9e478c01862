-- Who reacted how to which message, per day: received, opened, clicked and so on. A step: by day.
SELECT
    day_of(events.datetime) AS day,
    text_property(events.event_properties, '$message') AS message_id,
    events.campaign_id,
    metric_roles.role,
    events.profile_id,
    count(*) AS times
FROM events
INNER JOIN metric_roles ON metric_roles.metric_id = events.metric_id AND metric_roles.role NOT IN ('order', 'refund')
WHERE coalesce(text_property(events.event_properties, '$message'), events.campaign_id) IS NOT NULL
GROUP BY ALL
