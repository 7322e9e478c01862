-- What each segment is called. A step: whole.
SELECT
    id AS segment_id,
    max(name) AS name
FROM segments
GROUP BY id
