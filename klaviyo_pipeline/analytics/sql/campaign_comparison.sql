-- Our counts of each campaign beside those of Klaviyo's report.
WITH counted AS (
    SELECT
        campaign_id,
        any_value(campaign_name) AS campaign_name,
        any_value(send_day) AS send_day,
        sum(recipients)::BIGINT AS recipients,
        sum(unique_opens)::BIGINT AS unique_opens,
        sum(unique_clicks)::BIGINT AS unique_clicks,
        sum(unsubscribed)::BIGINT AS unsubscribed,
        sum(orders)::BIGINT AS orders,
        sum(revenue)::DECIMAL(38, 4) AS revenue
    FROM campaign_performance
    GROUP BY campaign_id
)

SELECT
    coalesce(counted.campaign_id, campaign_reports.campaign_id) AS campaign_id,
    counted.campaign_name,
    counted.send_day,
    coalesce(counted.recipients, 0) AS recipients,
    campaign_reports.delivered AS reported_recipients,
    coalesce(counted.unique_opens, 0) AS unique_opens,
    campaign_reports.opens_unique AS reported_unique_opens,
    coalesce(counted.unique_clicks, 0) AS unique_clicks,
    campaign_reports.clicks_unique AS reported_unique_clicks,
    coalesce(counted.unsubscribed, 0) AS unsubscribed,
    campaign_reports.unsubscribe_uniques AS reported_unsubscribed,
    coalesce(counted.orders, 0) AS orders,
    campaign_reports.conversions AS reported_orders,
    coalesce(counted.revenue, 0) AS revenue,
    campaign_reports.conversion_value AS reported_revenue
FROM counted
FULL JOIN campaign_reports ON campaign_reports.campaign_id = counted.campaign_id
