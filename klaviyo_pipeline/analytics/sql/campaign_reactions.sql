-- How often people reacted to each campaign, per day, and how many for the first time. Kept, by campaign.
WITH of_campaigns AS (
    SELECT
        coalesce(campaign_messages.campaign_id, reactions.campaign_id) AS campaign_id,
        reactions.day,
        reactions.role,
        reactions.profile_id,
        reactions.times
    FROM reactions
    LEFT JOIN campaign_messages ON campaign_messages.message_id = reactions.message_id
    WHERE in_scope(coalesce(campaign_messages.campaign_id, reactions.campaign_id))
),

of_people AS (
    SELECT campaign_id, role, profile_id, min(day) AS day
    FROM of_campaigns
    WHERE profile_id IS NOT NULL
    GROUP BY ALL
)

SELECT campaign_id, day, role AS fact, sum(times)::BIGINT AS amount
FROM of_campaigns
GROUP BY ALL
UNION ALL
-- A person counts once, on the day of the first time: so unique opens of days add up to those of the campaign.
SELECT campaign_id, day, 'unique ' || role, count(*)
FROM of_people
GROUP BY ALL
