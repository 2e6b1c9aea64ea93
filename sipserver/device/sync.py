"""Keep what is known of a device true: DeviceInfo, then its catalogue, and again when in doubt.

collect -> validate -> diff -> swap. Only a whole answer replaces the list; a part of one is merged
and the query repeated later.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count

from catalog.assembly import AssemblyResult
from sipserver.device.channels import ChannelDirectory
from sipserver.device.clock import Clock
from sipserver.device.device import Device
from sipserver.device.errors import DeviceError, DeviceNotOnline
from sipserver.device.events import (
    CatalogSynced,
    CatalogSyncFailed,
    DeviceDescribed,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    DeviceRegistered,
    Publish,
)
from sipserver.device.queries import QueryEngine
from sipserver.device.registry import Registry

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncSettings:
    parallel: int = 64
    """Devices asked at the same time."""

    delay: float = 0.5
    """Seconds between coming online and the first query: a device that has just registered sends
    its heartbeat first."""

    repeat_after: float = 600.0
    """A device that registers anew without having been offline is asked again after this."""

    retries: tuple[float, ...] = (30.0, 120.0, 600.0, 1800.0)
    """Seconds before each repetition of a failed or partial query; then it waits for the next
    registration."""

    empty_after: float = 600.0
    """Seconds that a device must go on saying it has no channels before those that were known are
    dropped: a recorder that starts says so too, for minutes."""

    device_info: bool = True
    """Ask for DeviceInfo before the catalogue."""

    automatic: bool = True
    """Ask a device when it comes online. False: only when the API is told to."""


@dataclass(slots=True, eq=False)
class _Job:
    device_id: str
    due: float
    done: asyncio.Future[CatalogSynced]
    attempt: int = 0
    task: asyncio.Task[None] | None = None
    doubt: frozenset[str] | None = None
    """IDs of the last partial answer: the same ones again are all there is."""
    empty_since: float | None = None
    """When the first of its empty answers came."""


class DeviceSync:
    """One job per device; :meth:`run` performs them."""

    def __init__(
        self,
        registry: Registry,
        queries: QueryEngine,
        directory: ChannelDirectory,
        publish: Publish,
        clock: Clock,
        *,
        settings: SyncSettings | None = None,
    ) -> None:
        self._registry = registry
        self._queries = queries
        self._directory = directory
        self._publish = publish
        self._clock = clock
        self._settings = settings or SyncSettings()
        self._jobs: dict[str, _Job] = {}
        self._heap: list[tuple[float, int, _Job]] = []
        self._order = count()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(self._settings.parallel)
        self._synced_at: dict[str, float] = {}

    @property
    def waiting(self) -> int:
        """Jobs waiting or running."""
        return len(self._jobs)

    def on_event(self, event: DeviceEvent) -> None:
        match event:
            case DeviceOnline() if self._settings.automatic:
                self._schedule(event.device_id, self._settings.delay)
            case DeviceRegistered() if self._settings.automatic and not event.refreshed:
                before = self._synced_at.get(event.device_id)
                now = self._clock.monotonic()
                if before is None or now - before > self._settings.repeat_after:
                    self._schedule(event.device_id, self._settings.delay)
            case DeviceOffline():
                self._queries.device_gone(event.device_id)
                self._drop(event.device_id)

    def forget(self, device_id: str) -> None:
        """Its account was removed."""
        self._drop(device_id)
        self._synced_at.pop(device_id, None)

    async def sync(self, device_id: str) -> CatalogSynced:
        """Now, or as soon as a slot is free; callers share one query.

        :raises DeviceError: when this attempt fails; it is repeated later all the same
        """
        device = self._registry.get(device_id)
        if not device.online:
            raise DeviceNotOnline(device.device_id)
        job = self._schedule(device.device_id, 0.0)
        return await asyncio.shield(job.done)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                job = await self._next()
                await self._slots.acquire()
                if self._jobs.get(job.device_id) is not job:
                    self._slots.release()
                    continue
                job.task = group.create_task(self._perform(job), name=f"sync {job.device_id}")
                job.task.add_done_callback(lambda _: self._slots.release())

    async def _next(self) -> _Job:
        while True:
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                due, _, job = heappop(self._heap)
                if self._jobs.get(job.device_id) is job and job.due == due and job.task is None:
                    return job
            self._wake.clear()
            try:
                async with asyncio.timeout(self._heap[0][0] - now if self._heap else None):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _schedule(self, device_id: str, delay: float) -> _Job:
        """A running job counts; a waiting one is brought forward."""
        due = self._clock.monotonic() + delay
        job = self._jobs.get(device_id)
        if job is None:
            job = _Job(device_id, due, asyncio.get_running_loop().create_future())
            self._jobs[device_id] = job
        elif job.task is not None or (job.due <= due and job.attempt == 0):
            return job
        job.attempt = 0
        self._push(job, due)
        return job

    def _push(self, job: _Job, due: float) -> None:
        job.due = due
        heappush(self._heap, (due, next(self._order), job))
        self._wake.set()

    def _drop(self, device_id: str) -> None:
        job = self._jobs.pop(device_id, None)
        if job is None:
            return
        if job.task is not None:
            job.task.cancel()
        _settle(job.done, DeviceNotOnline(device_id))

    async def _perform(self, job: _Job) -> None:
        device = self._registry.find(job.device_id)
        if device is None:
            self._drop(job.device_id)
            return
        self._directory.begin(device.device_id)
        try:
            report, whole = await self._synchronise(device, job)
        except DeviceError as error:
            self._failed(job, error)
            return
        except Exception as error:  # a bug must not end the other devices' synchronisation
            log.exception("synchronising %s failed", device.device_id)
            self._jobs.pop(job.device_id, None)
            _settle(job.done, error)
            return
        finally:
            self._directory.end(device.device_id)
        _settle(job.done, report)
        self._publish(report)
        if whole:
            self._synced_at[device.device_id] = self._clock.monotonic()
            self._jobs.pop(job.device_id, None)
        else:
            self._again(job)

    async def _synchronise(self, device: Device, job: _Job) -> tuple[CatalogSynced, bool]:
        started = self._clock.monotonic()
        if self._settings.device_info and job.attempt == 0:
            await self._describe(device)
        result = await self._queries.catalog(device)
        doubt = self._doubt(device.device_id, result, job)
        if doubt:
            self._directory.merge(device.device_id, result.items, result.bad, cause="sync")
        else:
            self._directory.swap(device.device_id, result.items, result.bad)
        report = CatalogSynced(
            device_id=device.device_id,
            at=self._clock.wall(),
            complete=not doubt,
            announced=result.sum_num or 0,
            channels=len(self._directory.items(device.device_id)),
            refused=result.bad_count,
            seconds=self._clock.monotonic() - started,
            detail=doubt or result.reason.value,
        )
        return report, not doubt

    def _doubt(self, device_id: str, result: AssemblyResult, job: _Job) -> str:
        """Why this answer must not replace the list; empty when it may.

        Devices that announce more than they ever send are believed when they say the same a second
        time; those that are empty, which may only be starting, when they say so for a while.
        """
        if result.items or not self._directory.items(device_id):
            job.empty_since = None
        elif result.complete:
            return self._doubt_empty(job)
        if result.complete:
            return ""
        identifiers = frozenset(item.device_id for item in result.items)
        before, job.doubt = job.doubt, identifiers
        # Nothing, twice, of what was announced is a fault and no list.
        believed = before == identifiers and (identifiers or not self._directory.items(device_id))
        return "" if believed else f"partial answer: {result.reason.value}"

    def _doubt_empty(self, job: _Job) -> str:
        now = self._clock.monotonic()
        if job.empty_since is None:
            job.empty_since = now
        if now - job.empty_since >= self._settings.empty_after:
            return ""
        return "empty answer where channels were known"

    async def _describe(self, device: Device) -> None:
        """Many devices do not answer DeviceInfo; that keeps nobody from their catalogue."""
        try:
            info = await self._queries.device_info(device)
        except DeviceNotOnline:
            raise
        except DeviceError:
            return
        known = device.details
        details = replace(
            known,
            name=info.device_name or known.name,
            manufacturer=info.manufacturer or known.manufacturer,
            model=info.model or info.device_type or known.model,
            firmware=info.firmware or known.firmware,
            channels=known.channels if info.video_inputs is None else info.video_inputs,
        )
        if self._registry.describe(device, details):
            self._publish(
                DeviceDescribed(
                    device_id=device.device_id,
                    at=self._clock.wall(),
                    name=details.name,
                    manufacturer=details.manufacturer,
                    model=details.model,
                    firmware=details.firmware,
                )
            )

    def _failed(self, job: _Job, error: DeviceError) -> None:
        _settle(job.done, error)
        retry_in = self._again(job)
        self._publish(
            CatalogSyncFailed(
                device_id=job.device_id,
                at=self._clock.wall(),
                reason=str(error),
                retry_in=retry_in,
            )
        )

    def _again(self, job: _Job) -> float | None:
        """The next attempt; None when there is none."""
        if self._jobs.get(job.device_id) is not job:
            return None
        if job.attempt >= len(self._settings.retries):
            del self._jobs[job.device_id]
            return None
        wait = self._settings.retries[job.attempt]
        job.attempt += 1
        job.task = None
        job.done = asyncio.get_running_loop().create_future()
        self._push(job, self._clock.monotonic() + wait)
        return wait


def _settle(done: asyncio.Future[CatalogSynced], outcome: CatalogSynced | Exception) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
        done.exception()  # seen: nobody may be waiting
    else:
        done.set_result(outcome)
