"""The run config that a launch may set: numbers and modes, never a secret, an address or a path.

Everybody who reaches Dagster's web server can launch a run. So run config cannot give a key, name an environment
variable, or change where a key or rows go. Dagster validates run config before it stores a run, so a refused launch
leaves no record.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import dagster as dg
from dagster._config import ConfigType, ConfigTypeKind  # Dagster exports no type that refuses in its own words
from dagster._config.config_type import ConfigScalar, ConfigScalarKind
from pydantic.fields import FieldInfo

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.redaction import redact_values

Bounds = tuple[float, float]
"""The lowest and the highest number; infinite for none."""


def bounded(low: float, high: float) -> dict[str, Any]:
    """The ``json_schema_extra`` that adds bounds to a field's schema. The field itself checks them."""
    return {"minimum": low, "maximum": high}


def spoken_bounds(bounds: Bounds) -> str:
    """Bounds in words."""
    low, high = bounds
    if high == math.inf:
        return f"at least {low:g}"
    return f"from {low:g} to {high:g}" if low > -math.inf else f"at most {high:g}"


_ENVIRONMENT = (
    "Run config takes values, never the name of an environment variable ({env: …}): anybody who can launch a run could "
    "read or send any variable. Write the value, or set the field in code."
)

_LOOKS_LIKE_A_KEY = (
    "Run config has a text that is, or looks like, an API key. Dagster keeps run config and shows it: a key comes from "
    "the environment (KLAVIYO_API_KEY), the authentications file or code."
)


class _Refused(ConfigType):
    """Refuses every value, without repeating it."""

    def __init__(self, key: str, sentence: str) -> None:
        self._sentence = sentence
        super().__init__(key=f"Refused.{key}", kind=ConfigTypeKind.ANY, given_name="Refused", description=sentence)

    def post_process(self, value: Any) -> Any:  # noqa: ANN401 - Dagster's own signature
        # Dagster repeats the value in its own validation errors, so this must not be one of them.
        raise ConfigurationError(self._sentence)


class _Value(dg.ScalarUnion):
    """A text, whole number or truth value. Refuses a variable of the environment and a secret."""

    def __init__(self, scalar: type, variant: str = "") -> None:
        refused = _Refused("environment", _ENVIRONMENT)
        selector = dg.Selector({"env": dg.Field(refused)})  # type: ignore[no-untyped-call]
        super().__init__(scalar, selector, _key=f"Value.{scalar.__name__}{variant}")

    def post_process(self, value: Any) -> Any:  # noqa: ANN401 - Dagster's own signature
        return _checked(value)


class _Bounded:
    """A number with inclusive bounds. Its schema states them, so Dagster refuses a launch before it stores a run."""

    name: str
    bounds: Bounds

    def post_process(self, value: Any) -> Any:  # noqa: ANN401 - Dagster's own signature
        value = super().post_process(value)  # type: ignore[misc]
        low, high = self.bounds
        if not low <= value <= high:  # neither is true of nan
            raise ConfigurationError(f"{self.name} is {value:g}, but must be {spoken_bounds(self.bounds)}.")
        return value


class _BoundedFloat(_Bounded, ConfigScalar):
    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name, self.bounds = name, bounds
        kind = f"Float {spoken_bounds(bounds)}".replace(" ", "_")
        super().__init__(f"{kind}.{name}", kind, ConfigScalarKind.FLOAT)


class _BoundedInt(_Bounded, _Value):
    def __init__(self, name: str, bounds: Bounds) -> None:
        self.name, self.bounds = name, bounds
        super().__init__(int, f".{spoken_bounds(bounds)}.{name}".replace(" ", "_"))


class _Anything(ConfigType):
    """Any value without a secret."""

    def __init__(self) -> None:
        super().__init__(key="Value.any", kind=ConfigTypeKind.ANY, given_name="AnyValue")

    def post_process(self, value: Any) -> Any:  # noqa: ANN401 - Dagster's own signature
        return _checked(value)


def _checked(value: Any) -> Any:  # noqa: ANN401
    if redact_values(value) != value:
        raise ConfigurationError(_LOOKS_LIKE_A_KEY)
    return value


_PLAIN: Mapping[Any, ConfigType] = {
    dg.StringSource.key: _Value(str),
    dg.IntSource.key: _Value(int),
    dg.BoolSource.key: _Value(bool),
    "Any": _Anything(),
}


@cache
def launch_schema(config: type[dg.Config]) -> dict[str, dg.Field]:
    """The run config of an op or asset: the fields of a config class, without values from the environment.

    Dagster's Launchpad writes out every default that a schema has, so these fields have none. The config class fills
    them in, and their descriptions name the default.
    """
    fields, bounds = config.to_fields_dict(), {name: _bounds(each) for name, each in config.model_fields.items()}
    return {name: _launch_field(field, name, bounds.get(name)) for name, field in fields.items()}


def _launch_field(field: dg.Field, name: str, bounds: Bounds | None) -> dg.Field:
    kind, described = _plain(field.config_type, name, bounds), _described(field.description, bounds)
    if field.default_provided and field.default_value is not None:
        default = json.dumps(field.default_value)
        described = f"{(described or '').removesuffix('.')} (default {default})."
    return dg.Field(kind, is_required=field.is_required and not field.default_provided, description=described)


def _field(field: dg.Field) -> dg.Field:
    given: dict[str, Any] = {"default_value": field.default_value} if field.default_provided else {}
    kind, described = _plain(field.config_type), field.description
    return dg.Field(kind, is_required=field.is_required, description=described, **given)


def _bounds(field: FieldInfo) -> Bounds | None:
    """The inclusive bounds of a number; None for a field without any."""
    given = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    low: Any = next((each.ge for each in field.metadata if hasattr(each, "ge")), given.get("minimum"))
    high: Any = next((each.le for each in field.metadata if hasattr(each, "le")), given.get("maximum"))
    if low is None and high is None:
        return None
    return -math.inf if low is None else low, math.inf if high is None else high


def _described(description: str | None, bounds: Bounds | None) -> str | None:
    if bounds is None or (description and spoken_bounds(bounds) in description.lower()):
        return description
    return f"{(description or '').removesuffix('.')}; {spoken_bounds(bounds)}."


def _plain(kind: Any, name: str = "", bounds: Bounds | None = None) -> Any:  # noqa: ANN401 - a ConfigType of any kind
    """A type of Dagster's with every {env: …} in it refused; a number with its bounds."""
    if bounds and kind.key == dg.IntSource.key:
        return _BoundedInt(name, bounds)
    if bounds and kind.key == "Float":
        return _BoundedFloat(name, bounds)
    if kind.key in _PLAIN:
        return _PLAIN[kind.key]
    if isinstance(kind, dg.Noneable):
        return dg.Noneable(_plain(kind.inner_type, name, bounds))
    if isinstance(kind, dg.Array):
        return dg.Array(_plain(kind.inner_type))
    if isinstance(kind, dg.Map):
        return dg.Map(kind.key_type, _plain(kind.inner_type), kind.given_name)  # type: ignore[no-untyped-call]
    if isinstance(kind, dg.Shape):
        return dg.Shape({name: _field(field) for name, field in kind.fields.items()})  # type: ignore[no-untyped-call]
    return kind


class SetInCode:
    """A resource whose fields code or the environment sets. A launch may set only the fields in ``at_launch``.

    ``prefilled`` has the values that the Launchpad shows at first. ``refusals`` has the reason of fields that need a
    message of their own.
    """

    at_launch: ClassVar[frozenset[str]] = frozenset()
    prefilled: ClassVar[Mapping[str, Any]] = {}
    refusals: ClassVar[Mapping[str, str]] = {}

    @property
    def _config_schema(self) -> dg.Field:
        """The resource's run config. Dagster's own would accept every field."""
        given = super()._config_schema.config_type.fields  # type: ignore[misc]
        fields = {name: self._launch_field(name, field) for name, field in given.items()}
        shape = dg.Shape(fields)  # type: ignore[no-untyped-call]
        return dg.Field(shape, is_required=False, default_value={})

    def _launch_field(self, name: str, field: dg.Field) -> dg.Field:
        if name in self.at_launch:
            bounds = _bounds(type(self).model_fields[name])  # type: ignore[attr-defined]
            described = _described(field.description, bounds)
            shown: dict[str, Any] = {"default_value": self.prefilled[name]} if name in self.prefilled else {}
            kind = _plain(field.config_type, name, bounds)
            return dg.Field(kind, is_required=False, description=described, **shown)
        kind = type(self).__name__
        sentence = self.refusals.get(name) or (
            f"{name} of {kind} cannot be set at launch: it comes from the environment or from code."
        )
        return dg.Field(_Refused(f"{kind}.{name}", sentence), is_required=False, description=sentence)

    def _with_updated_values(self, values: Mapping[str, Any] | None) -> Any:  # noqa: ANN401 - the resource
        """The resource of a run: with the values of the launch, and those that code takes from ``dg.EnvVar``."""
        taken = {name: value_of(value) for name, value in dict(self).items() if is_variable(value)}  # type: ignore[call-overload]
        return super()._with_updated_values({**taken, **(values or {})})  # type: ignore[misc]

    def process_config_and_initialize(self) -> Any:  # noqa: ANN401 - the resource
        """The resource of a run, for use outside a run."""
        return self._with_updated_values({})

    @classmethod
    def configure_at_launch(cls, **_fields: Any) -> Any:  # noqa: ANN401 - Dagster's own signature
        """Not allowed, because a launch could then set every field.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError(f"{cls.__name__} cannot be configured at launch: make it in code, {cls.__name__}(…).")


def is_variable(value: object) -> bool:
    """Whether code gave an environment variable (``dg.EnvVar``) instead of a value."""
    return isinstance(value, dg.EnvVar) or type(value).__name__ == "IntEnvVar"


def value_of(value: Any) -> Any:  # noqa: ANN401 - of a field of any type
    """A field's value; that of the environment variable where code gave one.

    Raises:
        ConfigurationError: if the variable is not set.
    """
    if not is_variable(value):
        return value
    found = value.get_value()
    if found is None:
        raise ConfigurationError(f"The environment variable {value.env_var_name} is not set.")
    return found
