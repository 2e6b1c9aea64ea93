"""Prometheus metrics, pulled from the services when they are asked for."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.statistics import Source, texts_of, values_of

PREFIX: Final = "gb28181"
CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class ServiceCollector(Collector):
    """Every number of every source as ``gb28181_<source>_<field>``."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._texts = {source.name: texts_of(source.snapshot()) for source in sources}

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            texts = self._texts[source.name]
            for field, value in values_of(source).items():
                name = f"{PREFIX}_{source.name}_{field}"
                text = texts.get(field) or field.replace("_", " ")
                yield from _metric(name, text, value, level=field in source.levels)


def _metric(name: str, text: str, value: object, *, level: bool) -> Iterable[Metric]:
    family = GaugeMetricFamily if level else CounterMetricFamily
    if isinstance(value, bool):
        return [GaugeMetricFamily(name, text, value=float(value))]
    if isinstance(value, int | float):
        return [family(name, text, value=float(value))]
    if isinstance(value, Mapping):
        labelled = family(name, text, labels=["kind"])
        for kind, number in value.items():
            if isinstance(number, int | float):
                labelled.add_metric([str(kind)], float(number))
        return [labelled]
    return []


def metrics_handler(
    sources: Sequence[Source],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """``GET /metrics`` in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(sources))

    async def metrics(request: web.Request) -> web.StreamResponse:
        body = generate_latest(registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    return metrics
