"""Lets Python look less often for objects that only refer to each other.

Python looks through the newest objects after every 700 new ones, and through all objects whenever a quarter more has
come. Dagster and the definitions are 300,000 objects, and nearly all of them stay. With Python's own numbers a run
with nothing new spends a seventh of its CPU time on it.
"""

import atexit
import gc

NEW_OBJECTS = 20_000
"""So many new objects lead to a look through the newest."""


def look_less_often() -> None:
    """Leave out the objects that are here now, and look after more new ones; at once for the whole process.

    Does nothing for a program that has switched the collector off, and never makes the looks more frequent.
    """
    newest, *older = gc.get_threshold()
    if not newest or not gc.isenabled():
        return
    gc.freeze()
    # Otherwise the end of the process leaves DuckDB's objects, and its library prints that they leaked.
    atexit.register(gc.unfreeze)
    gc.set_threshold(max(newest, NEW_OBJECTS), *older)
