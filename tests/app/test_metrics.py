from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.metrics import metrics_handler
from app.statistics import Source


@dataclass(frozen=True)
class Stats:
    received: int = 3
    """Messages."""
    active: int = 2
    failing: bool = True
    by_cause: Mapping[str, int] = field(default_factory=lambda: {"idle": 4, "stopped": 5})
    last_error: str = "text is left out"


async def test_every_number_of_every_service_is_there() -> None:
    counts = {"clients": 1}
    sources = (
        Source("sip", Stats, frozenset({"active"})),
        Source("events", lambda: counts, frozenset({"clients"})),
    )
    app = web.Application()
    app.router.add_get("/metrics", metrics_handler(sources))
    async with TestClient(TestServer(app)) as client:
        counts["clients"] = 7  # pulled when asked, not when made
        answer = await client.get("/metrics")
        text = await answer.text()
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = text.splitlines()
    assert "# HELP gb28181_sip_received_total Messages." in lines
    assert "# TYPE gb28181_sip_active gauge" in lines
    for line in (
        "gb28181_sip_received_total 3.0",
        "gb28181_sip_active 2.0",
        "gb28181_sip_failing 1.0",
        'gb28181_sip_by_cause_total{kind="idle"} 4.0',
        "gb28181_events_clients 7.0",
    ):
        assert line in lines
    assert "last_error" not in text
