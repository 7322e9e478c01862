-- Which campaign a message belongs to. A step: whole. Events name a campaign's message; those of old campaigns, which
-- had one message only, the campaign itself.
SELECT message_id, min(campaign_id) AS campaign_id
FROM (
    SELECT id AS message_id, id AS campaign_id FROM campaigns
    UNION ALL
    SELECT message_id, id FROM campaigns
    UNION ALL
    SELECT unnest(json_extract_string(messages, '$[*].id')), id FROM campaigns
)
WHERE message_id IS NOT NULL
GROUP BY ALL
