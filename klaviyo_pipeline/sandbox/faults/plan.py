"""The fault hooks, and the plan that says which faults happen, where and how often.

A plan is a declaration: which kinds of fault, for which operation, by chance or every so many requests. Whether
a request is hit depends on the plan's seed and on how many requests of its operation came before, so the same
requests of an operation meet the same faults, however other operations' requests fall between them.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from random import Random
from typing import Any, Protocol

from klaviyo_pipeline.sandbox.api.catalogue import ENDPOINTS
from klaviyo_pipeline.sandbox.api.messages import Request, Response, Send, deliver
from klaviyo_pipeline.sandbox.api.query import Query
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.faults import kinds
from klaviyo_pipeline.sandbox.faults.connections import Releasing

EVERYWHERE = "*"


class Faults(Protocol):
    """What may go wrong. Methods run in the server's event loop, in this order for a request."""

    def before(self, operation: str, request: Request, store: Store) -> None:
        """Change the shop before the request is answered."""
        ...

    async def instead(self, operation: str, request: Request) -> Response | None:
        """An answer to give instead of Klaviyo's (a storm of 429, a 503, HTML), or None for the usual answer."""
        ...

    def ask(self, operation: str, request: Request, query: Query) -> Query:
        """What the request is taken to ask for."""
        ...

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        """Send the answer: whole, late, altered, cut short or not at all (raise to drop the connection)."""
        ...

    def release(self) -> None:
        """Let go of every request that hangs. May be called from any thread."""
        ...

    def report(self) -> dict[str, object]:
        """What was planned and what happened, for the admin path."""
        ...


class NoFaults:
    """Everything goes well."""

    def before(self, operation: str, request: Request, store: Store) -> None:
        """Nothing."""

    async def instead(self, operation: str, request: Request) -> Response | None:
        """Never."""
        return None

    def ask(self, operation: str, request: Request, query: Query) -> Query:
        """What it asks for."""
        return query

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        """Whole and at once."""
        await deliver(response, send)

    def release(self) -> None:
        """Nothing hangs."""

    def report(self) -> dict[str, object]:
        """Nothing planned, nothing happened."""
        return {"seed": None, "rules": [], "injected": {}, "total": 0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule of a plan.

    Attributes:
        kind: what goes wrong; `kinds.KINDS` describes each.
        operation: Klaviyo's name of the operation (`get_events`), or `*` for all.
        probability: of a request to be hit; with neither this nor `every`, each request that can be is.
        every: hit each so-manieth request of an operation instead.
        limit: how often at most.
        burst: how many requests of the operation in a row are hit once one is.
        argument: what the kind takes: seconds, rows or a day (`kinds.KINDS` says).
    """

    kind: str
    operation: str = EVERYWHERE
    probability: float | None = None
    every: int | None = None
    limit: int | None = None
    burst: int = 1
    argument: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in kinds.KINDS:
            raise ValueError(f"there is no fault '{self.kind}'; there are {', '.join(kinds.KINDS)}")
        operations = {endpoint.operation for endpoint in ENDPOINTS}
        if self.operation not in {EVERYWHERE, *operations}:
            raise ValueError(f"there is no operation '{self.operation}'; there are {', '.join(sorted(operations))}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"the probability of '{self.kind}' is {self.probability:g}, but must be from 0 to 1")
        if self.probability is not None and self.every is not None:
            raise ValueError(f"'{self.kind}' has a probability and every; give one")
        if (self.every is not None and self.every < 1) or self.burst < 1:
            raise ValueError(f"every and burst of '{self.kind}' must be 1 or more")
        if self.kind == "drop-day":
            date.fromisoformat(self.argument or "")
        elif self.argument is not None:
            float(self.argument)

    @classmethod
    def parse(cls, text: str) -> "Fault":
        """Read `KIND[:OPERATION][=PROBABILITY]`, or `drop-day:YYYY-MM-DD`.

        Raises:
            ValueError: for anything else.
        """
        head, _, probability = text.partition("=")
        kind, _, rest = head.partition(":")
        if kind == "drop-day":
            return cls(kind, argument=rest)
        return cls(kind, rest or EVERYWHERE, float(probability) if probability else None)


class FaultPlan(NoFaults):
    """Rules, and the misbehaviour that follows from them.

    Example:
        >>> plan = FaultPlan(seed=1, rules=[Fault("429", probability=0.05, burst=3), Fault("reset", every=50)])
        >>> with running_sandbox(faults=plan) as sandbox: ...
    """

    def __init__(self, seed: int = 1, rules: Iterable[Fault] = ()) -> None:
        self.seed = seed
        self.rules = tuple(rules)
        self.injected: Counter[tuple[str, str]] = Counter()
        self.alterations: list[kinds.Alteration] = []
        self._seen: Counter[tuple[int, str]] = Counter()
        self._hits: Counter[int] = Counter()
        self._running_burst: Counter[tuple[int, str]] = Counter()
        self._lock = threading.Lock()
        self._releasing = Releasing()

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "FaultPlan":
        """A plan from JSON: `{"seed": 1, "rules": ["429=0.1", {"kind": "reset", "every": 50}]}`.

        Raises:
            ValueError, TypeError: for what can't be read.
        """
        rules = [Fault.parse(each) if isinstance(each, str) else Fault(**each) for each in given.get("rules", ())]
        return cls(int(given.get("seed", 1)), rules)

    def before(self, operation: str, request: Request, store: Store) -> None:
        """A row changes, or a list is deleted, between two pages."""
        for fault, chance in self._struck(kinds.CHANGES, operation, request):
            with store.lock:
                kinds.CHANGES[fault.kind](operation, request, store, chance)

    async def instead(self, operation: str, request: Request) -> Response | None:
        """An error, something that is no JSON, or an empty page."""
        for fault, chance in self._struck(kinds.ANSWERS, operation, request, only_one=True):
            return kinds.ANSWERS[fault.kind](request, chance, fault.argument)
        return None

    def ask(self, operation: str, request: Request, query: Query) -> Query:
        """Pages of another size, pages that overlap, a day that is missing."""
        for fault, _ in self._struck(kinds.QUESTIONS, operation, request):
            query = kinds.QUESTIONS[fault.kind](query, fault.argument)
        return query

    async def deliver(self, operation: str, request: Request, response: Response, send: Send) -> None:
        """Rows altered, then the answer cut, delayed or dropped."""
        if response.status == 200:
            for fault, chance in self._struck(kinds.ALTERATIONS, operation, request):
                response, altered = kinds.altered(response, kinds.ALTERATIONS[fault.kind], chance)
                with self._lock:
                    self.alterations.extend(altered)
        for fault, _ in self._struck(kinds.DELIVERIES, operation, request, only_one=True):
            await kinds.DELIVERIES[fault.kind](response, send, self._releasing, fault.argument)
            return
        await deliver(response, send)

    def release(self) -> None:
        """Let go of every request that hangs, now and from now on."""
        self._releasing.set()

    def report(self) -> dict[str, object]:
        """The plan, and what was injected, by kind and operation."""
        injected: dict[str, dict[str, int]] = {}
        with self._lock:
            for (kind, operation), count in sorted(self.injected.items()):
                injected.setdefault(kind, {})[operation] = count
        return {
            "seed": self.seed,
            "rules": [
                {name: value for name, value in asdict(rule).items() if value is not None} for rule in self.rules
            ],
            "injected": injected,
            "total": sum(sum(counts.values()) for counts in injected.values()),
        }

    def _struck(
        self, among: Mapping[str, object], operation: str, request: Request, *, only_one: bool = False
    ) -> Iterable[tuple[Fault, Random]]:
        """The rules among these kinds that hit this request, each with chance of its own."""
        for index, fault in enumerate(self.rules):
            if fault.kind not in among or fault.operation not in (EVERYWHERE, operation):
                continue
            if not kinds.can_hit(fault.kind, operation, request):
                continue
            with self._lock:
                number = self._seen[index, operation] = self._seen[index, operation] + 1
                chance = Random(f"{self.seed}:{index}:{operation}:{number}")
                if not self._hit(index, fault, operation, number, chance):
                    continue
                self.injected[fault.kind, operation] += 1
            yield fault, chance
            if only_one:
                return

    def _hit(self, index: int, fault: Fault, operation: str, number: int, chance: Random) -> bool:
        if fault.limit is not None and self._hits[index] >= fault.limit:
            return False
        follows = self._running_burst[index, operation] > 0
        if follows:
            self._running_burst[index, operation] -= 1
        elif fault.every is not None:
            if number % fault.every:
                return False
        elif fault.probability is not None and chance.random() >= fault.probability:
            return False
        if not follows:
            self._running_burst[index, operation] = fault.burst - 1
        self._hits[index] += 1
        return True
