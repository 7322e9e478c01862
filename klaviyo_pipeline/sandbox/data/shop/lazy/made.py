"""What a maker of records works from."""

from collections.abc import Callable, Mapping

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.rows import Shop
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.times import SECOND

Makers = Mapping[str, "Callable[[Made], list[Record]]"]


class Made:
    """The shop, and the records that were made of it so far."""

    def __init__(self, shop: Shop, makers: Makers) -> None:
        self.shop = shop
        self._makers = makers
        self._records: dict[str, list[Record]] = {}

    def records(self, resource: str) -> list[Record]:
        """The records of a type, made when first asked for."""
        if resource not in self._records:
            self._records[resource] = self._makers[resource](self)
        return self._records[resource]

    def chance(self, part: str) -> Chance:
        """Randomness of its own for a part."""
        return Chance(self.shop.seed, f"lazy:{part}")

    def moment(self, chance: Chance, since: int | None = None) -> int:
        """A time of the history, in whole seconds."""
        low = self.shop.since if since is None else since
        return int(low + chance.random() * (self.shop.until - low)) // SECOND * SECOND

    def metric_id(self, name: str) -> str:
        """The id of the first metric of a name."""
        return next(metric.id for metric in self.shop.metrics if metric.name == name)
