"""The environment variables that configure the project, in one place."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from klaviyo_pipeline import grammar, redaction
from klaviyo_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from klaviyo_pipeline.coordination.postgres import Coordination
    from klaviyo_pipeline.klaviyo.privacy.rules import Rules
    from klaviyo_pipeline.warehouse.lake import ObjectStore


@dataclass(frozen=True)
class Variable:
    """An environment variable: its name, default, description and parser."""

    name: str
    default: str
    description: str
    parse: grammar.Parser = grammar.text
    is_secret: bool = False

    @property
    def text(self) -> str:
        """The unparsed text of the variable, or the default if it is unset or blank."""
        return os.environ.get(self.name, "").strip() or self.default

    @property
    def value(self) -> str:
        """The parsed value; blank if the variable is unset and has no default.

        Raises:
            ConfigurationError: naming the variable, its value unless it is a secret, and what is allowed.
        """
        return self.parse(self.text, self.name) if self.text else ""


ALLOW_HTTP = Variable(
    "KLAVIYO_ALLOW_HTTP",
    "",
    "1: allows http addresses of other machines, which get the key in clear. For a trusted network.",
    grammar.switch,
)


def allow_http() -> bool:
    """Whether a key may leave this machine over http.

    Raises:
        ConfigurationError: if the variable is neither on nor off.
    """
    return ALLOW_HTTP.value == "on"


def _is_http_allowed() -> bool:
    """The same for the parsers of other variables. Raises nothing: check_all reports a wrong value once."""
    return ALLOW_HTTP.text.lower() in grammar.ON


API_KEY = Variable("KLAVIYO_API_KEY", "", "Private API key of the Klaviyo account.", grammar.key, is_secret=True)
redaction.watch(API_KEY.name)
BASE_URL = Variable(
    "KLAVIYO_BASE_URL",
    "https://a.klaviyo.com",
    "Address of the API: Klaviyo, or a sandbox.",
    grammar.klaviyo_address(_is_http_allowed),
)
REVISION = Variable(
    "KLAVIYO_REVISION", "", "API revision, YYYY-MM-DD; blank for the project's default.", grammar.revision
)
SOURCES = Variable(
    "KLAVIYO_SOURCES",
    "default",
    "Data sources that are assets: names, patterns such as catalog_*, default, core or all; -name removes one.",
    grammar.sources,
)
METRICS = Variable(
    "KLAVIYO_METRICS",
    "",
    "Metrics whose events are loaded: names or ids, separated by commas; blank for all events.",
    grammar.names,
)
LEAVE_OUT = Variable(
    "KLAVIYO_LEAVE_OUT",
    "",
    "Columns that the assets do without, as source.column, separated by commas, such as events.event_properties.",
    grammar.columns,
)
DATABASE = Variable("KLAVIYO_DUCKDB_PATH", "data/klaviyo.duckdb", "The DuckDB file for the tables.", grammar.file)
DESTINATION = Variable(
    "KLAVIYO_DESTINATION",
    "",
    "Where the tables are, if not in the DuckDB file: a DuckLake, as ducklake:postgres:dbname=lake host=db "
    "user=klaviyo or ducklake:file.ducklake; or md:name at MotherDuck, which is not tested by us.",
    grammar.destination,
)
DATA_PATH = Variable(
    "KLAVIYO_DATA_PATH",
    "",
    "Where the Parquet files of a DuckLake go: a folder that all machines see, or s3://bucket/folder.",
    grammar.data_path,
)
COORDINATION = Variable(
    "KLAVIYO_COORDINATION",
    "",
    "Postgres database through which processes on several machines keep rate limits together and take turns: "
    "postgresql://user@host/name, or postgres:dbname=name host=db user=klaviyo; off; blank for the catalog of a "
    "DuckLake in Postgres.",
    grammar.coordination,
)
INSTALL_EXTENSIONS = Variable(
    "KLAVIYO_INSTALL_EXTENSIONS",
    "",
    "on: DuckDB may download an extension that no installed package brings.",
    grammar.switch,
)
S3_KEY = Variable("AWS_ACCESS_KEY_ID", "", "Access key of the object store of a DuckLake.", grammar.key)
S3_SECRET = Variable("AWS_SECRET_ACCESS_KEY", "", "Secret access key of the object store.", grammar.key, is_secret=True)
S3_TOKEN = Variable(
    "AWS_SESSION_TOKEN", "", "Session token of temporary keys of the object store.", grammar.key, is_secret=True
)
S3_REGION = Variable("AWS_REGION", "us-east-1", "Region of the object store.")
S3_ENDPOINT = Variable(
    "AWS_ENDPOINT_URL",
    "",
    "Address of an object store other than that of AWS, such as https://minio:9000.",
    grammar.secret_address(_is_http_allowed, sends="all rows"),
)
for _secret in (S3_SECRET.name, S3_TOKEN.name, "PGPASSWORD", "MOTHERDUCK_TOKEN"):
    redaction.watch(_secret, redaction.CREDENTIALS)
DATABASE_MODE = Variable(
    "KLAVIYO_DATABASE_MODE",
    "0640",
    "File mode of a new DuckDB file, in octal. Existing files keep their mode.",
    grammar.file_mode,
)
SCHEMA = Variable("KLAVIYO_SCHEMA", "klaviyo", "The schema for the tables.", grammar.schema)
TIMEZONE = Variable(
    "KLAVIYO_TIMEZONE",
    "UTC",
    "Storage time zone: sets when days begin, and the meaning of times without an offset.",
    grammar.zone,
)
PARTITION_START = Variable(
    "KLAVIYO_PARTITION_START", "2024-01-01", "Day of the first partition, YYYY-MM-DD.", grammar.day
)
STAGING_DIR = Variable(
    "KLAVIYO_STAGING_DIR",
    "",
    "Parent of the folder klaviyo-staging, which holds fetched pages; blank for a folder beside the database.",
    grammar.folder,
)
STAGE_MB = Variable(
    "KLAVIYO_STAGE_MB",
    "5000",
    "Megabytes of pages that a load stages at most before a part of it lands; from 100 to 1000000.",
    grammar.number(100, 1_000_000),
)
FRESH_PARENTS_MINUTES = Variable(
    "KLAVIYO_FRESH_PARENTS_MINUTES",
    "60",
    "Members of lists and the like take the lists from their table if these landed no longer ago; from 0 (Klaviyo is "
    "always asked) to 10080.",
    grammar.number(0, 10_080),
)
SHRINK_SHARE = Variable(
    "KLAVIYO_SHRINK_SHARE",
    "0.2",
    "A full read that would remove more than this share of the rows fails without consent; from 0 to 1.",
    grammar.number(0, 1),
)
SHRINK_ROWS = Variable(
    "KLAVIYO_SHRINK_ROWS",
    "10",
    "A full read may remove this many rows without consent, but not all rows; from 0 to 1000000000.",
    grammar.number(0, 1_000_000_000, whole=True),
)
PROGRESS = Variable(
    "KLAVIYO_PROGRESS", "", "bar: shows a progress bar on a terminal, besides the log.", grammar.one_of("bar")
)
TRANSFERS = Variable("KLAVIYO_TRANSFERS_DIR", "transfers", "Folder with a YAML file for each transfer.", grammar.folder)
AUTOMATION = Variable(
    "KLAVIYO_AUTOMATION",
    "off",
    "on: turns on all schedules, sensors and automation conditions.",
    grammar.switch,
)
ALERT_WEBHOOK = Variable(
    "KLAVIYO_ALERT_WEBHOOK",
    "",
    "Address that gets alerts in Slack's format: a message when a problem begins, and one when it has ended. A secret; "
    "blank for none.",
    grammar.secret_address(_is_http_allowed),
    is_secret=True,
)
redaction.watch(ALERT_WEBHOOK.name, redaction.ADDRESS)
ALERT_JSON_WEBHOOK = Variable(
    "KLAVIYO_ALERT_JSON_WEBHOOK",
    "",
    "Address that gets the same alerts as JSON: state, key, title, sentence and link. A secret; blank for none.",
    grammar.secret_address(_is_http_allowed),
    is_secret=True,
)
redaction.watch(ALERT_JSON_WEBHOOK.name, redaction.ADDRESS)
ALERT_MAIL_TO = Variable(
    "KLAVIYO_ALERT_MAIL_TO",
    "",
    "Mail addresses that get the same alerts, separated by commas; blank for none.",
    grammar.mail_addresses,
)
ALERT_MAIL_FROM = Variable(
    "KLAVIYO_ALERT_MAIL_FROM", "", "Sender of these mails; blank for the first recipient.", grammar.mail_addresses
)
SMTP_SERVER = Variable(
    "KLAVIYO_SMTP_SERVER", "localhost:25", "Mail server that sends these mails, as host:port.", grammar.host_and_port
)
SMTP_SECURITY = Variable(
    "KLAVIYO_SMTP_SECURITY",
    "starttls",
    "How the connection to the mail server is encrypted: starttls, tls from the start, or none.",
    grammar.one_of("starttls", "tls", "none"),
)
SMTP_USER = Variable("KLAVIYO_SMTP_USER", "", "User of the mail server; blank for no login.", grammar.one_line)
SMTP_PASSWORD = Variable(
    "KLAVIYO_SMTP_PASSWORD", "", "Password of that user. A secret.", grammar.one_line, is_secret=True
)
redaction.watch(SMTP_PASSWORD.name, "[mail password]")
PREVIEW_COLUMNS = Variable(
    "KLAVIYO_PREVIEW_COLUMNS",
    "impersonal",
    "Columns whose values Dagster's records may show (first rows, examples in checks): impersonal, or all.",
    grammar.one_of("impersonal", "all"),
)
PRIVACY_SECRET = Variable(
    "KLAVIYO_PRIVACY_SECRET",
    "",
    "Key of the hashes that privacy rules make and that keep erased people out; at least 16 characters.",
    grammar.privacy_secret,
    is_secret=True,
)
redaction.watch(PRIVACY_SECRET.name, "[privacy secret]")
PRIVACY = Variable(
    "KLAVIYO_PRIVACY",
    "",
    "Privacy rules: pseudonymous, or YAML in braces with a rule for each column; blank to keep all.",
    grammar.privacy(lambda: PRIVACY_SECRET.text),
)
DAGSTER_URL = Variable(
    "KLAVIYO_DAGSTER_URL",
    "",
    "Address of Dagster's UI: for links to runs in messages, and to ask for reloads of the code location.",
    grammar.address,
)
REPORT = Variable(
    "KLAVIYO_REPORT", "", "File of the report; blank for klaviyo-report.html beside the database.", grammar.file
)
REPORT_URL = Variable(
    "KLAVIYO_REPORT_URL", "", "Address at which people open the report, for the link in Dagster's UI.", grammar.address
)
OWNERS = Variable(
    "KLAVIYO_OWNERS",
    "team:data-platform",
    "Owners of the assets in Dagster's catalog: team:name or mail addresses, separated by commas.",
    grammar.owners,
)
SANDBOX_END = Variable(
    "KLAVIYO_SANDBOX_END",
    "",
    "End of the sandbox's history. The commands demo and with-sandbox set it.",
    grammar.moment,
)

VARIABLES = (
    *(API_KEY, BASE_URL, REVISION, SOURCES, METRICS, LEAVE_OUT, DATABASE, DESTINATION, DATA_PATH),
    *(COORDINATION, INSTALL_EXTENSIONS, DATABASE_MODE, SCHEMA, TIMEZONE),
    *(PARTITION_START, STAGING_DIR, STAGE_MB, FRESH_PARENTS_MINUTES, PROGRESS, TRANSFERS, SHRINK_SHARE),
    *(SHRINK_ROWS, AUTOMATION, ALERT_WEBHOOK, ALLOW_HTTP, PREVIEW_COLUMNS, PRIVACY, PRIVACY_SECRET, DAGSTER_URL),
    *(REPORT, REPORT_URL),
    *(ALERT_JSON_WEBHOOK, ALERT_MAIL_TO, ALERT_MAIL_FROM, SMTP_SERVER, SMTP_SECURITY, SMTP_USER, SMTP_PASSWORD),
    *(OWNERS, SANDBOX_END),
)


def check_all() -> None:
    """Parse every variable.

    Raises:
        ConfigurationError: with a line for each variable that is wrong.
    """
    wrong = []
    for variable in VARIABLES:
        try:
            variable.value  # noqa: B018 - parsed for its errors
        except ConfigurationError as error:
            wrong.append(str(error))
    if wrong:
        raise ConfigurationError("\n".join(wrong))


def object_store() -> ObjectStore | None:
    """How to reach the object store of a lake; None without keys.

    Raises:
        ConfigurationError: if one of its variables is wrong.
    """
    from klaviyo_pipeline.warehouse.lake import ObjectStore

    if not (S3_KEY.value and S3_SECRET.value):
        return None
    return ObjectStore(S3_KEY.value, S3_SECRET.value, S3_TOKEN.value, S3_REGION.value, S3_ENDPOINT.value)


def coordination() -> Coordination | None:
    """The Postgres database that processes share: the one that is set, else the catalog of a lake; None without.

    Raises:
        ConfigurationError: if the variable names none, or the driver is not installed.
    """
    given, destination = COORDINATION.value, DESTINATION.value
    if given == "off" or not (given or destination.startswith("ducklake:")):
        return None
    from klaviyo_pipeline.coordination.postgres import coordination_at, has_driver
    from klaviyo_pipeline.warehouse.addresses import LakeAddress, parse_address

    if given:
        return coordination_at(given)
    found = parse_address(destination, DESTINATION.name)
    if isinstance(found, LakeAddress) and found.postgres and has_driver():
        return coordination_at(found.postgres)
    return None


def owners() -> list[str]:
    """The owners of the assets.

    Raises:
        ConfigurationError: if one of them is neither a team nor a mail address.
    """
    return OWNERS.value.split(",")


def sources() -> tuple[str, ...]:
    """The names of the data sources that are assets, in the catalogue's order.

    Raises:
        ConfigurationError: for a name that the catalogue does not have.
    """
    return tuple(SOURCES.value.split(","))


def chosen(setting: str) -> tuple[str, ...] | None:
    """What the assets of a data source are limited to by a setting, such as ``metrics``; None for all rows.

    Raises:
        ConfigurationError: for a list without a name.
    """
    variable = {"metrics": METRICS}.get(setting)
    return tuple(json.loads(variable.value)) if variable and variable.value else None


def privacy_rules(given: str = "") -> Rules:
    """The rules of what may be kept of an account's rows; blank for those of the default account.

    Raises:
        ConfigurationError: A rule is wrong, or there is no secret for hashes.
    """
    from klaviyo_pipeline.klaviyo.privacy.parsing import read_rules

    return read_rules(given or PRIVACY.text, "privacy" if given else PRIVACY.name, PRIVACY_SECRET.value)


def left_out(source: str) -> tuple[str, ...]:
    """The columns that the asset of a data source does without.

    Raises:
        ConfigurationError: for what is no column, or one that loads need.
    """
    pairs = [each.split(".", 1) for each in json.loads(LEAVE_OUT.value or "[]")]
    return tuple(column for name, column in pairs if name == source)


def sandbox_end(base_url: str) -> datetime | None:
    """The end of the history of the sandbox at this address (aware); None for a sandbox of others."""
    known = SANDBOX_END.value
    return datetime.fromisoformat(known) if known and base_url == BASE_URL.value else None
