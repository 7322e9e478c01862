-- What came of each flow, by the day on which it happened. All numbers add up, over days as over flows.
WITH facts AS (
    SELECT flow_id, day, fact, amount::DECIMAL(38, 4) AS amount
    FROM flow_results
    UNION ALL
    SELECT flow_id, day, unnest(['order', 'revenue', 'refunded']), unnest([1, value, refunded])
    FROM orders
    WHERE flow_id IS NOT NULL
)

SELECT
    facts.flow_id,
    facts.day AS event_day,
    any_value(flow_names.name) AS flow_name,
    any_value(flow_names.status) AS status,
    coalesce(sum(amount) FILTER (fact = 'received'), 0)::BIGINT AS received,
    coalesce(sum(amount) FILTER (fact = 'unique received'), 0)::BIGINT AS recipients,
    coalesce(sum(amount) FILTER (fact = 'bounced'), 0)::BIGINT AS bounced,
    coalesce(sum(amount) FILTER (fact = 'opened'), 0)::BIGINT AS opens,
    coalesce(sum(amount) FILTER (fact = 'unique opened'), 0)::BIGINT AS unique_opens,
    coalesce(sum(amount) FILTER (fact = 'clicked'), 0)::BIGINT AS clicks,
    coalesce(sum(amount) FILTER (fact = 'unique clicked'), 0)::BIGINT AS unique_clicks,
    coalesce(sum(amount) FILTER (fact = 'unsubscribed'), 0)::BIGINT AS unsubscribed,
    coalesce(sum(amount) FILTER (fact = 'marked as spam'), 0)::BIGINT AS marked_as_spam,
    coalesce(sum(amount) FILTER (fact = 'order'), 0)::BIGINT AS orders,
    coalesce(sum(amount) FILTER (fact = 'revenue'), 0) AS revenue,
    coalesce(sum(amount) FILTER (fact = 'refunded'), 0) AS refunded,
    coalesce(sum(amount) FILTER (fact IN ('revenue', 'refunded')), 0) AS net_revenue
FROM facts
LEFT JOIN flow_names ON flow_names.flow_id = facts.flow_id
GROUP BY facts.flow_id, facts.day
