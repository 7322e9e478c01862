-- When each profile was created. A step: by that day.
SELECT
    day_of(created) AS day,
    id AS profile_id,
    created AS created_at
FROM profiles
