-- One row an order, with what was refunded or cancelled of it later. A view of the order events.
WITH placed AS (
    SELECT *
    FROM order_events
    WHERE role = 'order'
),

taken_back AS (
    SELECT
        profile_id,
        number,
        sum(value) AS value
    FROM order_events
    WHERE role = 'refund' AND number IS NOT NULL
    GROUP BY ALL
)

SELECT
    placed.profile_id,
    placed.day,
    placed.happened_at AS ordered_at,
    placed.campaign_id,
    placed.campaign_message_id,
    placed.flow_id,
    coalesce(placed.value, 0) AS value,
    -- An order that was cancelled and refunded says so twice, but no more than its value is taken back.
    greatest(coalesce(taken_back.value, 0), -greatest(coalesce(placed.value, 0), 0)) AS refunded
FROM placed
LEFT JOIN taken_back
    ON taken_back.number = placed.number
    AND taken_back.profile_id IS NOT DISTINCT FROM placed.profile_id
