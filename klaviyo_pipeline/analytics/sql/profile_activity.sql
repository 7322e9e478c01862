-- One row a profile: when it was first and last seen, what it reacted to, and what it bought.
WITH born AS (
    SELECT profile_id, max(created_at) AS created_at
    FROM profile_births
    WHERE in_scope(profile_id)
    GROUP BY profile_id
),

seen AS (
    SELECT
        profile_id,
        min(first_event_at) AS first_event_at,
        max(last_event_at) AS last_event_at,
        sum(events)::BIGINT AS events,
        count(day) AS active_days,
        max(last_received_at) AS last_received_at,
        max(last_opened_at) AS last_opened_at,
        max(last_clicked_at) AS last_clicked_at
    FROM profile_days
    WHERE in_scope(profile_id)
    GROUP BY profile_id
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
    WHERE in_scope(profile_id)
    GROUP BY profile_id
),

-- What was taken back of no order in particular.
taken_back AS (
    SELECT profile_id, sum(value) AS value
    FROM order_events
    WHERE in_scope(profile_id) AND role = 'refund' AND number IS NULL
    GROUP BY profile_id
)

SELECT
    coalesce(born.profile_id, seen.profile_id) AS profile_id,
    born.created_at,
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
FROM born
FULL JOIN seen ON seen.profile_id = born.profile_id
LEFT JOIN bought ON bought.profile_id = coalesce(born.profile_id, seen.profile_id)
LEFT JOIN taken_back ON taken_back.profile_id = coalesce(born.profile_id, seen.profile_id)
