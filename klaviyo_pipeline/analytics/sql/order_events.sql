-- Orders, and what was refunded or cancelled of orders, as they happened. A step: by day.
SELECT
    day_of(events.datetime) AS day,
    metric_roles.role,
    events.profile_id,
    events.datetime AS happened_at,
    events.campaign_id,
    events.campaign_message_id,
    events.flow_id,
    order_number(events.event_properties) AS number,
    signed_value(events.event_properties, metric_roles.role) AS value
FROM events
INNER JOIN metric_roles ON metric_roles.metric_id = events.metric_id AND metric_roles.role IN ('order', 'refund')
