-- What Klaviyo's own report says of each campaign, all messages and variations together. A step: whole.
SELECT
    campaign_id,
    sum(delivered)::BIGINT AS delivered,
    sum(opens_unique)::BIGINT AS opens_unique,
    sum(clicks_unique)::BIGINT AS clicks_unique,
    sum(unsubscribe_uniques)::BIGINT AS unsubscribe_uniques,
    sum(conversions)::BIGINT AS conversions,
    sum(conversion_value)::DECIMAL(38, 4) AS conversion_value
FROM campaign_values
WHERE campaign_id IS NOT NULL
GROUP BY campaign_id
