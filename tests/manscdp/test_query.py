from collections.abc import Callable
from datetime import datetime

import pytest

from manscdp.errors import LocalError
from manscdp.query import CatalogQuery, DeviceInfoQuery, DeviceStatusQuery
from manscdp.registry import from_message
from manscdp.values import BEIJING
from manscdp.xml import parse

Wire = Callable[[str], bytes]

GOLDEN = [
    ("catalog_query", CatalogQuery(sn=2203, device_id="34020000002000000001")),
    ("catalog_query_region", CatalogQuery(sn=2204, device_id="3402")),
    ("catalog_query_group", CatalogQuery(sn=2205, device_id="34020000002150000001")),
    ("device_info_query", DeviceInfoQuery(sn=2201, device_id="34020000001180000001")),
    ("device_status_query", DeviceStatusQuery(sn=2202, device_id="34020000001180000001")),
]


@pytest.mark.parametrize(("name", "query"), GOLDEN)
def test_queries_come_back(
    wire: Wire, name: str, query: CatalogQuery | DeviceInfoQuery | DeviceStatusQuery
) -> None:
    assert from_message(parse(wire(name))) == query
    assert query.to_bytes().replace(b"\r\n", b"") == wire(name).replace(b"\r\n", b"")


def test_a_period_is_written_in_beijing_time() -> None:
    period = (datetime(2024, 5, 5, tzinfo=BEIJING), datetime(2024, 5, 6, tzinfo=BEIJING))
    query = CatalogQuery(sn=1, device_id="3402", start_time=period[0], end_time=period[1])
    body = query.to_bytes()
    assert b"<StartTime>2024-05-05T00:00:00</StartTime>\r\n<EndTime>2024-05-06T0" in body
    assert from_message(parse(body)) == query


def test_another_query_is_our_bug(wire: Wire) -> None:
    with pytest.raises(LocalError, match="no Query DeviceInfo"):
        DeviceInfoQuery.from_message(parse(wire("device_status_query")))
