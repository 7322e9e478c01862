-- Events per day and metric: how many, of how many people, and what they come to.
SELECT
    metric_days.day,
    metric_days.metric_id,
    metric_names.name AS metric_name,
    metric_names.integration_name,
    metric_days.events,
    metric_days.unique_profiles,
    metric_days.value,
    metric_days.unreadable_values
FROM metric_days
LEFT JOIN metric_names ON metric_names.metric_id = metric_days.metric_id
