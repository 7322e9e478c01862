-- What each profile did on each day. A step: by day.
SELECT
    day_of(events.datetime) AS day,
    events.profile_id,
    count(*) AS events,
    min(events.datetime) AS first_event_at,
    max(events.datetime) AS last_event_at,
    max(events.datetime) FILTER (metric_roles.role = 'received') AS last_received_at,
    max(events.datetime) FILTER (metric_roles.role = 'opened') AS last_opened_at,
    max(events.datetime) FILTER (metric_roles.role = 'clicked') AS last_clicked_at
FROM events
LEFT JOIN metric_roles ON metric_roles.metric_id = events.metric_id
WHERE events.profile_id IS NOT NULL
GROUP BY ALL
