-- One row an order, with what was refunded or cancelled of it later. A step on the way: no table of its own.
WITH placed AS (
    SELECT
        events.profile_id,
        events.datetime AS ordered_at,
        events.campaign_id,
        events.campaign_message_id,
        order_number(events.event_properties) AS number,
        coalesce(signed_value(events.event_properties, metric_roles.role), 0) AS value
    FROM events
    INNER JOIN metric_roles ON metric_roles.metric_id = events.metric_id AND metric_roles.role = 'order'
),

taken_back AS (
    SELECT
        events.profile_id,
        order_number(events.event_properties) AS number,
        sum(signed_value(events.event_properties, metric_roles.role)) AS value
    FROM events
    INNER JOIN metric_roles ON metric_roles.metric_id = events.metric_id AND metric_roles.role = 'refund'
    WHERE number IS NOT NULL
    GROUP BY ALL
)

SELECT
    placed.profile_id,
    placed.ordered_at,
    placed.campaign_id,
    placed.campaign_message_id,
    placed.value,
    -- An order that was cancelled and refunded says so twice, but no more than its value is taken back.
    greatest(coalesce(taken_back.value, 0), -greatest(placed.value, 0)) AS refunded
FROM placed
LEFT JOIN taken_back
    ON taken_back.number = placed.number
    AND taken_back.profile_id IS NOT DISTINCT FROM placed.profile_id
