-- What each flow is called, and whether it is live. A step: whole.
SELECT
    id AS flow_id,
    max(name) AS name,
    max(status) AS status
FROM flows
GROUP BY id
