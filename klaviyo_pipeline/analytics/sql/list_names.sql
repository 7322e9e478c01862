-- What each list is called. A step: whole.
SELECT
    id AS list_id,
    max(name) AS name
FROM lists
GROUP BY id
