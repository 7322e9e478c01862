"""Load Klaviyo into DuckDB as Dagster assets.

Importing the package makes ``zoneinfo`` read the pinned ``tzdata`` package in this process, not the system's files
(nor those of ``PYTHONTZPATH``). A system may have older rules, and all parts must agree when a day begins. Dagster's
partitions and schedules use ``zoneinfo`` too.

``build_definitions`` gives an account's definitions for a Dagster project of your own, ``KlaviyoTranslator`` changes
how they appear in it, and ``KlaviyoComponent`` gives the same from a YAML file of Dagster's ``dg``.
"""

import zoneinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from klaviyo_pipeline.component import KlaviyoComponent
    from klaviyo_pipeline.library import KlaviyoTranslator, build_definitions

    __version__: str

__all__ = ["KlaviyoComponent", "KlaviyoTranslator", "__version__", "build_definitions"]

zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo.clear_cache()


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of any exported name
    if name == "__version__":
        from importlib.metadata import version

        return version("klaviyo-pipeline")
    # Not imported above: the sandbox and the command line start without Dagster.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from klaviyo_pipeline import component

    return getattr(component, name)


def __dir__() -> list[str]:
    """The exported names too: `dg` looks for components in what `dir` lists."""
    return sorted({*globals(), *__all__})
