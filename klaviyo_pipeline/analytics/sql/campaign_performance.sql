-- What came of each campaign, by the day on which it happened. All numbers add up, over days as over campaigns.
WITH reactions AS (
    SELECT
        coalesce(campaign_messages.campaign_id, events.campaign_id) AS campaign_id,
        day_of(events.datetime) AS day,
        metric_roles.role,
        events.profile_id
    FROM events
    INNER JOIN metric_roles
        ON metric_roles.metric_id = events.metric_id AND metric_roles.role NOT IN ('order', 'refund')
    LEFT JOIN campaign_messages
        ON campaign_messages.message_id = text_property(events.event_properties, '$message')
),

of_people AS (
    SELECT campaign_id, role, profile_id, min(day) AS day
    FROM reactions
    WHERE campaign_id IS NOT NULL
    GROUP BY ALL
),

facts AS (
    SELECT campaign_id, day, role AS fact, count(*)::DECIMAL(38, 4) AS amount
    FROM reactions
    WHERE campaign_id IS NOT NULL
    GROUP BY ALL
    UNION ALL
    -- A person counts once, on the day of the first time: so unique opens of days add up to those of the campaign.
    SELECT campaign_id, day, 'unique ' || role, count(*)
    FROM of_people
    WHERE profile_id IS NOT NULL
    GROUP BY ALL
    UNION ALL
    SELECT
        coalesce(orders.campaign_id, campaign_messages.campaign_id) AS campaign,
        day_of(orders.ordered_at),
        unnest(['order', 'revenue', 'refunded']),
        unnest([1, orders.value, orders.refunded])
    FROM orders
    LEFT JOIN campaign_messages ON campaign_messages.message_id = orders.campaign_message_id
    WHERE campaign IS NOT NULL
    UNION ALL
    -- A campaign that nothing came of is there all the same.
    SELECT id, day_of(send_time), 'nothing', 0
    FROM campaigns
    WHERE lower(status) IN ('sent', 'sending', 'variations sent') AND send_time IS NOT NULL
)

SELECT
    facts.campaign_id,
    facts.day AS event_day,
    day_of(any_value(campaigns.send_time)) AS send_day,
    any_value(campaigns.name) AS campaign_name,
    any_value(campaigns.channel) AS channel,
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
LEFT JOIN campaigns ON campaigns.id = facts.campaign_id
GROUP BY facts.campaign_id, facts.day
