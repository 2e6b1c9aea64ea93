"""Many answers -> one catalogue (GB/T 28181-2022 annex M): collect, count, give up in time.

``SumNum`` is not to be trusted: it may be too large (items never come), too small, or another in
each message. So the largest counts, and a pause ends what the numbers do not.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from manscdp.catalog import BadItem, CatalogItem, CatalogPage


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblySettings:
    first_answer: float = 120.0
    """Seconds to the first page. Large lower platforms need up to two minutes to begin."""

    gap: float = 5.0
    """Seconds without a page after which nothing more is expected."""

    settle: float = 0.5
    """Seconds between reaching SumNum and the end: a SumNum that is too small shows itself here."""

    total: float = 1800.0
    """Seconds for the whole answer: 100,000 items, four to a message, 70 ms each."""

    late: float = 60.0
    """Seconds after the end in which late pages are still merged."""

    max_items: int = 200_000
    """Different items kept; more are counted as bad."""

    max_bad: int = 1000
    """Bad items kept with their reason; more are only counted."""


class Reason(StrEnum):
    """Why the collecting ended."""

    COMPLETE = "complete"  # SumNum reached
    EMPTY = "empty"  # SumNum 0
    GAP = "gap"  # the rest never came
    SUM_NUM_WRONG = "SumNum wrong"  # more came than it said, or it never said
    TOTAL = "total time"
    NO_ANSWER = "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class AssemblyResult:
    items: tuple[CatalogItem, ...]  # one per identifier, in the order they came
    complete: bool  # may replace what was known; False: merge only
    sum_num: int | None  # the largest that was said
    received: int  # items in all pages that were not a page sent again
    duplicates: int  # pages sent again, and items whose identifier came before
    bad: tuple[BadItem, ...]
    bad_count: int
    conflicts: tuple[str, ...]  # identifiers that came with different content; the last one counts
    late: int  # items merged after the end
    reason: Reason


class Assembly:
    """The open answer to one query. ``key`` is the caller's, e.g. ``(peer, CmdType, SN)``."""

    def __init__(self, key: Hashable, now: float, settings: AssemblySettings | None = None) -> None:
        self.key: Final = key
        self._settings = settings or AssemblySettings()
        self._items: dict[str, CatalogItem] = {}
        self._conflicts: dict[str, None] = {}
        self._bad: list[BadItem] = []
        self._bad_count = 0
        self._pages: set[int] = set()
        self._sum_num: int | None = None
        self._received = 0
        self._duplicates = 0
        self._empty = 0
        self._late = 0
        self._damaged = False
        self._reason: Reason | None = None
        self._result: AssemblyResult | None = None
        self._total_at = now + self._settings.total
        self._deadline: float | None = now + self._settings.first_answer
        self._heard = False

    @property
    def finished(self) -> bool:
        """There is a result; late pages may still change it until :meth:`deadline` is ``None``."""
        return self._reason is not None

    @property
    def received(self) -> int:
        return self._received

    @property
    def sum_num(self) -> int | None:
        return self._sum_num

    @property
    def result(self) -> AssemblyResult | None:
        """What was collected; ``None`` before the end."""
        if self._reason is None:
            return None
        if self._result is None:
            self._result = self._make_result(self._reason)
        return self._result

    def deadline(self) -> float | None:
        """When :meth:`handle_timer` wants to be called; ``None``: closed, forget this."""
        return self._deadline

    def receive(self, page: CatalogPage, now: float) -> bool:
        """Merge one page. True: the result is there, or a late page changed it."""
        if self._deadline is None:
            return False
        is_new = self._merge(page)
        if self.finished:
            self._late += len(page.items) if is_new else 0
            self._result = None
            return is_new and bool(page.items)
        self._heard = True
        if self._is_empty(page):
            self._finish(Reason.EMPTY, now)
            return True
        wait = self._settings.settle if self._reached() else self._settings.gap
        self._deadline = min(now + wait, self._total_at)
        return False

    def handle_timer(self, now: float) -> bool:
        """True: the collecting has just ended, so there is a result now."""
        if self._deadline is None or now < self._deadline:
            return False
        if self.finished:
            self._deadline = None
            return False
        self._finish(self._timer_reason(now), now)
        return True

    def _merge(self, page: CatalogPage) -> bool:
        """False for a page that came before, item for item."""
        if page.sum_num is not None:
            self._sum_num = max(page.sum_num, self._sum_num or 0)
        fingerprint = hash((page.items, page.bad_items))
        if fingerprint in self._pages and (page.items or page.bad_items):
            self._duplicates += 1
            return False
        if len(self._pages) < self._settings.max_items:
            self._pages.add(fingerprint)
        self._damaged = self._damaged or page.recovered
        self._received += len(page.items) + len(page.bad_items) + page.empty_items
        self._empty += page.empty_items
        for bad in page.bad_items:
            self._keep_bad(bad)
        for item in page.items:
            self._keep(item)
        return True

    def _keep(self, item: CatalogItem) -> None:
        known = self._items.get(item.device_id)
        if known is not None:
            self._duplicates += 1
            if known != item:
                self._conflicts[item.device_id] = None
        elif len(self._items) >= self._settings.max_items:
            self._keep_bad(BadItem("more items than the limit", item.device_id, item.name[:64]))
            return
        self._items[item.device_id] = item

    def _keep_bad(self, bad: BadItem) -> None:
        self._bad_count += 1
        if len(self._bad) < self._settings.max_bad:
            self._bad.append(bad)

    def _is_empty(self, page: CatalogPage) -> bool:
        return page.sum_num == 0 and self._sum_num == 0 and not self._received

    @property
    def _different(self) -> int:
        return len(self._items) + self._bad_count + self._empty

    def _reached(self) -> bool:
        """Exactly what was announced, each identifier once.

        More than that proves SumNum wrong; less, with an identifier that came twice, may mean that
        another one is outstanding. Both wait for the gap.
        """
        return self._different == self._sum_num

    def _timer_reason(self, now: float) -> Reason:
        if not self._heard:
            return Reason.NO_ANSWER
        if self._sum_num is not None and self._different <= self._sum_num <= self._received:
            return Reason.COMPLETE
        if now >= self._total_at:
            return Reason.TOTAL
        enough = self._sum_num is None or self._received > self._sum_num
        return Reason.SUM_NUM_WRONG if enough else Reason.GAP

    def _finish(self, reason: Reason, now: float) -> None:
        self._reason = reason
        self._deadline = now + self._settings.late

    def _make_result(self, reason: Reason) -> AssemblyResult:
        complete = self._is_complete()
        return AssemblyResult(
            items=tuple(self._items.values()),
            complete=complete,
            sum_num=self._sum_num,
            received=self._received,
            duplicates=self._duplicates,
            bad=tuple(self._bad),
            bad_count=self._bad_count,
            conflicts=tuple(self._conflicts),
            late=self._late,
            reason=Reason.COMPLETE if complete and self._late else reason,
        )

    def _is_complete(self) -> bool:
        """Pages broken beyond repair may hide items; so may an answer that never said its size."""
        if self._damaged or self._sum_num is None or len(self._items) >= self._settings.max_items:
            return False
        return self._received >= self._sum_num
