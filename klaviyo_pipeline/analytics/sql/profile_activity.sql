-- One row a profile: when it was first and last seen, what it reacted to, and what it bought.
WITH seen AS (
    SELECT
        events.profile_id,
        min(events.datetime) AS first_event_at,
        max(events.datetime) AS last_event_at,
        count(*) AS events,
        count(DISTINCT day_of(events.datetime)) AS active_days,
        max(events.datetime) FILTER (metric_roles.role = 'received') AS last_received_at,
        max(events.datetime) FILTER (metric_roles.role = 'opened') AS last_opened_at,
        max(events.datetime) FILTER (metric_roles.role = 'clicked') AS last_clicked_at
    FROM events
    LEFT JOIN metric_roles ON metric_roles.metric_id = events.metric_id
    WHERE events.profile_id IS NOT NULL
    GROUP BY ALL
),

bought AS (
    SELECT
        profile_id,
        min(ordered_at) AS first_order_at,
        max(ordered_at) AS last_order_at,
        count(*) AS orders,
        sum(value) AS ordered_value,
        sum(refunded) AS refunded_value
    FROM orders
    WHERE profile_id IS NOT NULL
    GROUP BY ALL
),

-- What was taken back of no order in particular.
taken_back AS (
    SELECT events.profile_id, sum(signed_value(events.event_properties, metric_roles.role)) AS value
    FROM events
    INNER JOIN metric_roles ON metric_roles.metric_id = events.metric_id AND metric_roles.role = 'refund'
    WHERE events.profile_id IS NOT NULL AND order_number(events.event_properties) IS NULL
    GROUP BY ALL
)

SELECT
    coalesce(profiles.id, seen.profile_id) AS profile_id,
    profiles.created AS created_at,
    seen.first_event_at,
    seen.last_event_at,
    coalesce(seen.events, 0) AS events,
    coalesce(seen.active_days, 0) AS active_days,
    seen.last_received_at,
    seen.last_opened_at,
    seen.last_clicked_at,
    bought.first_order_at,
    bought.last_order_at,
    coalesce(bought.orders, 0) AS orders,
    coalesce(bought.ordered_value, 0) AS ordered_value,
    coalesce(bought.refunded_value, 0) + coalesce(taken_back.value, 0) AS refunded_value,
    coalesce(bought.ordered_value, 0) + coalesce(bought.refunded_value, 0) + coalesce(taken_back.value, 0)
        AS lifetime_value
FROM profiles
FULL JOIN seen ON seen.profile_id = profiles.id
LEFT JOIN bought ON bought.profile_id = coalesce(profiles.id, seen.profile_id)
LEFT JOIN taken_back ON taken_back.profile_id = coalesce(profiles.id, seen.profile_id)
