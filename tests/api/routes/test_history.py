from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp.test_utils import TestClient
from aiohttp.web import Application, Request

from api.routes.history import HistoryRoutes
from sipserver.device.history import PresenceEdge


@dataclass(frozen=True)
class Stored:
    id: int
    edge: PresenceEdge


class MemoryArchive:
    async def newest(self, *, device_id: str, before: int | None, limit: int) -> Sequence[Stored]:
        edges = [Stored(n, PresenceEdge("1", float(n), n % 2 == 0, "expired")) for n in range(9)]
        older = [entry for entry in edges if before is None or entry.id < before]
        return older[::-1][:limit]


async def test_the_history_is_read_page_by_page(make_client) -> None:  # type: ignore[no-untyped-def]
    client: TestClient[Request, Application] = await make_client(
        HistoryRoutes(MemoryArchive()).table()
    )
    page = await (await client.get("/api/v1/presence?limit=5")).json()
    assert [item["id"] for item in page["items"]] == [8, 7, 6, 5, 4]
    assert page["more"] is True
    page = await (await client.get("/api/v1/presence?limit=5&before=4")).json()
    assert [item["id"] for item in page["items"]] == [3, 2, 1, 0]
    assert page["more"] is False
    assert page["items"][0]["reason"] == "expired"
