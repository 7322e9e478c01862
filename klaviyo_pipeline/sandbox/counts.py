"""Counts of the sandbox's requests and answers."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """What has been asked and answered."""

    by_operation: Counter[tuple[str, int]] = field(default_factory=Counter)
    bytes: int = 0
    open: int = 0
    open_maximum: int = 0

    def reset(self) -> None:
        """Start counting afresh; what is under way stays counted as open."""
        self.by_operation.clear()
        self.bytes = 0
        self.open_maximum = self.open

    def report(self) -> dict[str, object]:
        """The counts as the admin path gives them."""
        endpoints: dict[str, dict[str, int]] = {}
        for (operation, status), count in sorted(self.by_operation.items()):
            endpoints.setdefault(operation, {})[str(status)] = count
        return {
            "total": self.by_operation.total(),
            "refused": sum(count for (_, status), count in self.by_operation.items() if status == 429),
            "open_maximum": self.open_maximum,
            "bytes": self.bytes,
            "endpoints": endpoints,
        }
