"""Load Klaviyo into DuckDB as Dagster assets.

Importing the package makes ``zoneinfo`` read the pinned ``tzdata`` package in this process, not the system's files
(nor those of ``PYTHONTZPATH``). A system may have older rules, and all parts must agree when a day begins. Dagster's
partitions and schedules use ``zoneinfo`` too.
"""

import zoneinfo

__version__ = "0.1.0"

zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo.clear_cache()
