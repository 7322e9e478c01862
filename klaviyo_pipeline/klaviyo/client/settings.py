"""Settings of the client, with bounds and defaults: retries, timeouts, share of the rate limit."""

from __future__ import annotations

from dataclasses import dataclass, fields

from klaviyo_pipeline.errors import ConfigurationError

KLAVIYO_URL = "https://a.klaviyo.com"


@dataclass(frozen=True)
class Setting:
    """A number's default and inclusive bounds."""

    default: float
    minimum: float
    maximum: float
    description: str


SETTINGS: dict[str, Setting] = {
    "retry_limit": Setting(5, 1, 7, "Retries of a request before its window fails."),
    "initial_retry_wait_s": Setting(1, 1, 10, "Seconds before the first retry. Each further retry doubles the wait."),
    "max_retry_wait_s": Setting(300, 30, 1800, "Longest wait before a retry, in seconds."),
    "connect_timeout_s": Setting(300, 30, 1800, "Seconds to wait for a connection."),
    "read_timeout_s": Setting(300, 30, 1800, "Seconds to wait for Klaviyo to send the next bytes."),
    "write_timeout_s": Setting(300, 30, 1800, "Seconds to wait while sending a request."),
    "total_timeout_s": Setting(900, 60, 7200, "Seconds to wait for a whole answer, even if bytes still arrive."),
    "max_page_mb": Setting(256, 16, 2000, "Maximum size of a page, unpacked, in megabytes of 1,048,576 bytes."),
    "max_pages_without_rows": Setting(
        1000, 1, 100_000, "A window fails after this many pages in a row without a new row."
    ),
    "rate_limit_share": Setting(
        0.9, 0.05, 1.0, "Share of Klaviyo's rate limit to use. The rest is for other integrations."
    ),
    "max_connections": Setting(
        64, 1, 64, "Maximum number of parallel requests. A run uses as many as Klaviyo's rate limit allows."
    ),
}
INTEGER_SETTINGS = frozenset({"retry_limit", "max_connections", "max_pages_without_rows"})


def check_setting(name: str, value: float) -> None:
    """Refuse a number outside its documented bounds.

    Raises:
        ConfigurationError: naming the setting, the value and the bounds.
    """
    setting = SETTINGS[name]
    whole = name in INTEGER_SETTINGS
    if isinstance(value, bool) or not isinstance(value, (int, float)) or (whole and not float(value).is_integer()):
        kind = "a whole number" if whole else "a number"
        raise ConfigurationError(f"{name} is {value!r}, but must be {kind}.")
    if not setting.minimum <= value <= setting.maximum:
        raise ConfigurationError(
            f"{name} is {value:g}, but must be from {setting.minimum:g} to {setting.maximum:g} "
            f"(default {setting.default:g})."
        )


@dataclass(frozen=True)
class ClientSettings:
    """The client's settings. Times are in seconds. A value outside its bounds raises ConfigurationError."""

    retry_limit: int = 5
    initial_retry_wait_s: float = 1
    max_retry_wait_s: float = 300
    connect_timeout_s: float = 300
    read_timeout_s: float = 300
    write_timeout_s: float = 300
    total_timeout_s: float = 900
    max_page_mb: float = 256
    max_pages_without_rows: int = 1000
    rate_limit_share: float = 0.9
    max_connections: int = 64

    def __post_init__(self) -> None:
        for field in fields(self):
            check_setting(field.name, getattr(self, field.name))
            if field.name in INTEGER_SETTINGS:
                object.__setattr__(self, field.name, int(getattr(self, field.name)))
