"""Query and answer: two MESSAGEs in opposite directions, joined by SN (GB/T 28181-2022 9.5).

Key: (peer, CmdType, SN); fallback (peer, CmdType, DeviceID) for devices that answer with a wrong
SN. One query of a kind per device is open at a time: a second one confuses several devices.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any, Final, TypeVar, cast

from catalog.assembly import Assembly, AssemblyResult, AssemblySettings
from manscdp.catalog import CatalogPage
from manscdp.information import DeviceInfo, DeviceStatus
from manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from sipserver.device.device import Device
from sipserver.device.errors import DeviceNotOnline, DeviceSilent
from sipserver.device.messenger import Messenger, SerialNumbers

T = TypeVar("T")
Answer = DeviceInfo | DeviceStatus
Key = tuple[str, str]  # device, CmdType

MOST_LATE: Final = 10_000  # finished catalogue queries that may still get pages


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySettings:
    answer_timeout: float = 10.0
    """Seconds for DeviceInfo and DeviceStatus, after the device accepted the query."""

    catalog: AssemblySettings = field(default_factory=AssemblySettings)


class PageFate(Enum):
    """What became of a catalogue page."""

    COLLECTED = auto()
    """Part of the answer to the open query."""
    REPEATED = auto()
    """Of a query that is over, and nothing new in it."""
    LATE = auto()
    """Of a query that is over: merge it."""
    UNSOLICITED = auto()
    """An answer to nothing: it may be merged, and never replaces a list."""


class _Open:
    """One query on its way; ``wake`` when there is something to look at."""

    def __init__(self, sn: int, target: str) -> None:
        self.sn: Final = sn
        self.target: Final = target
        self.wake: Final = asyncio.Event()
        self.closed: Final = asyncio.Event()
        self.answer: Answer | None = None
        self.assembly: Assembly | None = None
        self.doubtful: Assembly | None = None
        """Pages with an SN that is not ours: used when no right one ever comes."""
        self.heard = False
        self.gone = False
        self.armed = 0.0


class QueryEngine:
    def __init__(
        self,
        messenger: Messenger,
        numbers: SerialNumbers,
        now: Callable[[], float],
        settings: QuerySettings | None = None,
    ) -> None:
        """:param now: the event loop's ``time``"""
        self._messenger = messenger
        self._numbers = numbers
        self._now = now
        self._settings = settings or QuerySettings()
        self._open: dict[Key, _Open] = {}
        self._tasks: dict[tuple[str, str, str], asyncio.Task[Any]] = {}
        self._late: dict[tuple[str, int], Assembly] = {}
        self.unmatched = 0
        """Answers that nobody waited for."""

    async def device_info(self, device: Device) -> DeviceInfo:
        """:raises DeviceError: any of the messenger's, or :exc:`DeviceSilent`"""
        query = self._single(device, "DeviceInfo", device.device_id)
        return cast(DeviceInfo, await self._joined(device, "DeviceInfo", device.device_id, query))

    async def device_status(self, device: Device, target: str = "") -> DeviceStatus:
        """:param target: a channel or sub-device; empty: the device itself"""
        target = target or device.device_id
        query = self._single(device, "DeviceStatus", target)
        return cast(DeviceStatus, await self._joined(device, "DeviceStatus", target, query))

    async def catalog(self, device: Device, target: str = "") -> AssemblyResult:
        """All pages of one answer; ``complete`` says whether it may replace what was known.

        :raises DeviceError: any of the messenger's, or :exc:`DeviceSilent`
        """
        target = target or device.device_id
        query = self._catalog(device, target)
        return await self._joined(device, "Catalog", target, query)

    def receive_answer(self, device: Device, answer: Answer) -> bool:
        """False: nobody waits for it."""
        cmd_type = "DeviceInfo" if isinstance(answer, DeviceInfo) else "DeviceStatus"
        query = self._open.get((device.device_id, cmd_type))
        matches = query is not None and (
            query.sn == answer.sn
            or (answer.device_id == query.target and not self._numbers.was_taken(answer.sn))
        )
        if query is None or not matches:
            self.unmatched += 1
            return False
        query.answer = answer
        query.wake.set()
        return True

    def receive_page(self, device: Device, page: CatalogPage) -> PageFate:
        now = self._now()
        query = self._open.get((device.device_id, "Catalog"))
        if query is not None and (assembly := self._assembly_for(query, page, now)) is not None:
            _collect(query, assembly, page, now)
            return PageFate.COLLECTED
        late = self._late.get((device.device_id, page.sn))
        if late is not None:
            return PageFate.LATE if late.receive(page, now) else PageFate.REPEATED
        self.unmatched += 1
        return PageFate.UNSOLICITED

    def device_gone(self, device_id: str) -> None:
        """It went offline: whoever waits for it need not wait longer."""
        for cmd_type in ("Catalog", "DeviceInfo", "DeviceStatus"):
            query = self._open.get((device_id, cmd_type))
            if query is not None:
                query.gone = True
                query.wake.set()

    async def close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _joined(
        self, device: Device, cmd_type: str, target: str, query: Coroutine[Any, Any, T]
    ) -> T:
        """Callers with the same question share one query; it outlives any one of them."""
        key = (device.device_id, cmd_type, target)
        task = self._tasks.get(key)
        if task is None:
            task = asyncio.create_task(query, name=f"{cmd_type} {target}")
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        else:
            query.close()
        return cast(T, await asyncio.shield(task))

    def _finished(self, key: tuple[str, str, str], task: asyncio.Task[Any]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen: its caller may have gone

    async def _single(self, device: Device, cmd_type: str, target: str) -> Answer:
        query = await self._opened(device, cmd_type, target)
        kind = DeviceInfoQuery if cmd_type == "DeviceInfo" else DeviceStatusQuery
        body = kind(sn=query.sn, device_id=target).to_bytes(device.writing_charset, device.edition)
        sending = self._sending(device, query, body, cmd_type)
        try:
            while query.answer is None:
                _check(device, query, sending)
                query.wake.clear()
                accepted = sending.done()
                try:
                    async with asyncio.timeout(self._settings.answer_timeout if accepted else None):
                        await query.wake.wait()
                except TimeoutError:
                    seconds = self._settings.answer_timeout
                    raise DeviceSilent(device.device_id, cmd_type, seconds) from None
            return query.answer
        finally:
            self._close(device, cmd_type, query)
            await _stopped(sending)

    async def _catalog(self, device: Device, target: str) -> AssemblyResult:
        query = await self._opened(device, "Catalog", target)
        for key in [key for key in self._late if key[0] == device.device_id]:
            del self._late[key]  # the new answer is the newer truth
        query.assembly = self._assembly(query, self._now())
        body = CatalogQuery(sn=query.sn, device_id=target).to_bytes(
            device.writing_charset, device.edition
        )
        sending = self._sending(device, query, body, "Catalog")
        try:
            return await self._assembled(device, query, query.assembly, sending)
        finally:
            self._close(device, "Catalog", query)
            await _stopped(sending)

    async def _assembled(
        self, device: Device, query: _Open, assembly: Assembly, sending: asyncio.Task[None]
    ) -> AssemblyResult:
        while not _is_over(query, assembly, self._now()):
            _check(device, query, sending)
            query.wake.clear()
            query.armed = _deadline(query, assembly)
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, query.armed - self._now())):
                    await query.wake.wait()
        if query.heard and assembly.result is not None:
            self._keep_late(device.device_id, query, assembly)
            return assembly.result
        if query.doubtful is not None and query.doubtful.result is not None:
            # Not proved to be an answer to this query: it may add, never remove.
            return replace(query.doubtful.result, complete=False)
        waited = self._settings.catalog.first_answer
        raise DeviceSilent(device.device_id, "Catalog", waited)

    def _assembly_for(self, query: _Open, page: CatalogPage, now: float) -> Assembly | None:
        """Where a page of the open query goes; None: it is not one.

        An SN that was never ours, before any page with the right one, is the fallback by DeviceID.
        """
        if query.sn == page.sn:
            query.heard = True
            return query.assembly
        if query.heard or page.device_id != query.target or self._numbers.was_taken(page.sn):
            return None
        if query.doubtful is None:
            query.doubtful = self._assembly(query, now)
        return query.doubtful

    def _assembly(self, query: _Open, now: float) -> Assembly:
        return Assembly(query.sn, now, self._settings.catalog)

    def _keep_late(self, device_id: str, query: _Open, assembly: Assembly) -> None:
        if len(self._late) < MOST_LATE:
            key = (device_id, query.sn)
            self._late[key] = assembly
            late = self._settings.catalog.late
            asyncio.get_running_loop().call_later(late, self._late.pop, key, None)

    async def _opened(self, device: Device, cmd_type: str, target: str) -> _Open:
        key = (device.device_id, cmd_type)
        while (other := self._open.get(key)) is not None:
            await other.closed.wait()
        if not device.online:
            raise DeviceNotOnline(device.device_id)
        query = self._open[key] = _Open(self._numbers.take(), target)
        return query

    def _close(self, device: Device, cmd_type: str, query: _Open) -> None:
        self._open.pop((device.device_id, cmd_type), None)
        query.closed.set()

    def _sending(self, device: Device, query: _Open, body: bytes, what: str) -> asyncio.Task[None]:
        """Beside the wait for the answer, which may come before the 200 or without one."""
        sending = asyncio.create_task(self._messenger.send(device, body, what=what))
        sending.add_done_callback(lambda _: query.wake.set())
        return sending


def _collect(query: _Open, assembly: Assembly, page: CatalogPage, now: float) -> None:
    """The waiting task is only woken for a deadline nearer than the one it sleeps to."""
    assembly.receive(page, now)
    deadline = assembly.deadline()
    if assembly.finished or (deadline is not None and deadline < query.armed):
        query.wake.set()


def _deadline(query: _Open, assembly: Assembly) -> float:
    open_ones = [assembly] if query.heard or query.doubtful is None else [assembly, query.doubtful]
    deadlines = (one.deadline() for one in open_ones)
    return min(deadline for deadline in deadlines if deadline is not None)


def _is_over(query: _Open, assembly: Assembly, now: float) -> bool:
    assembly.handle_timer(now)
    if query.doubtful is None or query.heard:
        return assembly.finished
    query.doubtful.handle_timer(now)
    return assembly.finished or query.doubtful.finished


def _check(device: Device, query: _Open, sending: asyncio.Task[None]) -> None:
    if query.gone:
        raise DeviceNotOnline(device.device_id)
    if sending.done() and not query.heard and (error := sending.exception()) is not None:
        raise error


async def _stopped(sending: asyncio.Task[None]) -> None:
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
