-- What each campaign is called, and when it was sent. A step: whole.
SELECT
    id AS campaign_id,
    max(name) AS name,
    max(channel) AS channel,
    day_of(max(send_time)) AS send_day,
    bool_or(lower(status) IN ('sent', 'sending', 'variations sent') AND send_time IS NOT NULL) AS is_sent
FROM campaigns
GROUP BY id
