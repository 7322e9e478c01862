"""Klaviyo into DuckDB as Dagster assets.

Importing the package makes ``zoneinfo`` read the pinned ``tzdata`` package in this process, not the system's files
(nor those of ``PYTHONTZPATH``): days must begin at the same instant wherever they are counted, and a system may have
older rules. Dagster's partitions and schedules follow, since they use ``zoneinfo`` too.
"""

import zoneinfo

__version__ = "0.1.0"

zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo.clear_cache()
