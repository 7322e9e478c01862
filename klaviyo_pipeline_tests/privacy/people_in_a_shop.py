"""A sandbox whose answers are changed on the way, and loads of its data sources into a database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.privacy.parsing import rules_of
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.load import fetch, land
from klaviyo_pipeline.loads.model import Load, StagedLoad
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.sandbox.api.messages import Request, Response
from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.interface import Warehouse
from klaviyo_pipeline.warehouse.lake import Lake
from klaviyo_pipeline.warehouse.parent_rows import ParentRows
from klaviyo_pipeline_tests import instances
from klaviyo_pipeline_tests.klaviyo.support import Watched

SECRET = "a secret of the tests"


@dataclass
class Shop:
    """The sandbox, and where its rows land."""

    sandbox: RunningSandbox
    folder: Path
    watched: Watched = field(default_factory=Watched)
    privacy: Any = None
    schema: str = "klaviyo"
    lake: Lake | None = None
    """Where the rows land instead of in a DuckDB file."""

    @property
    def database(self) -> Warehouse:
        return self.lake or Database(self.folder / "shop.duckdb")

    @property
    def area(self) -> StagingArea:
        return StagingArea(self.folder / ".shop.duckdb.staging")

    @property
    def client(self) -> KlaviyoClient:
        rules = rules_of(self.privacy, "privacy", SECRET)
        return KlaviyoClient("pk_sandbox", base_url=self.sandbox.url, rules=rules)

    def alter(self, change: Callable[[str, dict[str, Any]], None]) -> None:
        """Have each resource of an answer changed: by its type, in place."""

        def altered(_operation: str, _request: Request, response: Response) -> Response:
            document = json.loads(response.body) if response.status == 200 else {}
            data = document.get("data")
            found = [*(data if isinstance(data, list) else [data] if data else []), *document.get("included", [])]
            for resource in found:
                change(resource.get("type", ""), resource)
            return Response(response.status, json.dumps(document).encode(), response.headers) if found else response

        self.watched.alter = altered

    def fetch(self, name: str, **options: bool) -> StagedLoad:
        source = SOURCES[name]
        request = LoadRequest(source=source, options=source.choose(**options), incremental=False)
        place = Place(database=self.database, table=name, schema=self.schema)
        children = tuple(each for each in SOURCES.values() if each.child is not None and each.child.parent == name)
        staged = fetch(Load(request=request, place=place, children=children), self.client, self.area)
        assert staged is not None
        return staged

    def load_event_profiles(self) -> None:
        source = SOURCES["event_profiles"]
        assert source.fan_out is not None
        with self.database.reading() as con:
            rows = con.sql(f"SELECT id, datetime, profile_id FROM {self.schema}.events").to_arrow_table()
        parents = ParentRows(self.database, rows, source.fan_out.parent_columns, source.fan_out.key or "")
        place = Place(database=self.database, table=source.name, schema=self.schema)
        request = LoadRequest(source=source, options=source.choose())
        staged = fetch(Load(request=request, place=place, parents=parents), self.client, self.area)
        assert staged is not None
        land(staged)

    def load(self, *names: str, **options: bool) -> None:
        for name in names:
            land(self.fetch(name, **options))

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        if self.lake is None:
            return instances.rows(self.database.local, query, *parameters)
        with self.lake.reading() as con:
            return con.execute(query, list(parameters)).fetchall()

    def texts(self) -> Iterator[str]:
        """The content of each table, as text: files hold it compressed."""
        tables = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database()"
        for schema, name in self.sql(tables):
            yield f"{schema}.{name}: " + str(self.sql(f'FROM "{schema}"."{name}"'))


def files_with(folder: Path, *texts: str) -> list[str]:
    """The files below a folder that have one of the texts in them, in any case."""
    wanted = [text.encode().lower() for text in texts]
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(each in path.read_bytes().lower() for each in wanted)
    )
