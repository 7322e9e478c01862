-- What came of each campaign, by the day on which it happened. All numbers add up, over days as over campaigns.
WITH facts AS (
    SELECT campaign_id, day, fact, amount::DECIMAL(38, 4) AS amount
    FROM campaign_reactions
    UNION ALL
    SELECT
        coalesce(orders.campaign_id, campaign_messages.campaign_id) AS campaign,
        orders.day,
        unnest(['order', 'revenue', 'refunded']),
        unnest([1, orders.value, orders.refunded])
    FROM orders
    LEFT JOIN campaign_messages ON campaign_messages.message_id = orders.campaign_message_id
    WHERE campaign IS NOT NULL
    UNION ALL
    -- A campaign that nothing came of is there all the same.
    SELECT campaign_id, send_day, 'nothing', 0
    FROM campaign_names
    WHERE is_sent
)

SELECT
    facts.campaign_id,
    facts.day AS event_day,
    any_value(campaign_names.send_day) AS send_day,
    any_value(campaign_names.name) AS campaign_name,
    any_value(campaign_names.channel) AS channel,
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
LEFT JOIN campaign_names ON campaign_names.campaign_id = facts.campaign_id
GROUP BY facts.campaign_id, facts.day
