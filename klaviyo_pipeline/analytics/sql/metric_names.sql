-- What each metric is called. A step: whole.
SELECT
    id AS metric_id,
    max(name) AS name,
    max(integration_name) AS integration_name
FROM metrics
GROUP BY id
