-- How many people gave or refused which consent, and when that was last known. A step: whole.
SELECT
    channel,
    kind,
    consent,
    can_receive,
    count(*) AS people,
    max(last_updated) AS last_updated
FROM consents
WHERE _deleted_at IS NULL
GROUP BY ALL
