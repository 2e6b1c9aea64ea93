from collections.abc import Callable

from manscdp.edition import Edition
from manscdp.information import AlarmInputStatus, DeviceInfo, DeviceStatus
from manscdp.xml import parse

Wire = Callable[[str], bytes]


def squeezed(body: bytes) -> bytes:
    return body.replace(b"\r\n", b"")


def test_device_info(wire: Wire) -> None:
    info = DeviceInfo.from_message(parse(wire("device_info")))
    assert info == DeviceInfo(
        sn=2201, device_id="34020000001180000001", device_name="NVR hall", result="OK",
        manufacturer="ACME", model="NVR-64", firmware="V4.1 build 240101", channel=64,
    )  # fmt: skip
    assert squeezed(info.to_bytes()) == squeezed(wire("device_info"))


def test_device_info_of_2011(wire: Wire) -> None:
    info = DeviceInfo.from_message(parse(wire("odd_device_info_2011")))
    assert (info.result, info.device_type, info.max_camera) == ("OK", "DVR", 4)
    assert info.video_inputs == 4
    old = info.to_bytes("gb18030", Edition.GB2011)
    assert b"<MaxCamera>4</MaxCamera>" in old
    assert b"MaxCamera" not in info.to_bytes("gb18030", Edition.GB2016)


def test_device_status(wire: Wire) -> None:
    status = DeviceStatus.from_message(parse(wire("device_status")))
    assert (status.online, status.status, status.record) == ("ONLINE", "OK", "ON")
    assert status.alarm_status == (AlarmInputStatus("34020000001340000001", "ONDUTY"),)
    assert status.to_bytes() == wire("device_status")


def test_device_status_in_any_order_and_with_junk() -> None:
    body = (
        b"<Response><CmdType>DeviceStatus</CmdType><Encode>maybe</Encode><Status>error</Status>"
        b"<AlarmStatus num='2'><Item/><Item><DutyStatus>alarm</DutyStatus><DeviceID>7</DeviceID>"
        b"</Item></AlarmStatus><Online>offline</Online><SN>3</SN></Response>"
    )
    status = DeviceStatus.from_message(parse(body))
    assert (status.online, status.status, status.encode) == ("OFFLINE", "ERROR", None)
    assert status.alarm_status == (AlarmInputStatus("7", "ALARM"),)
    assert (status.sn, status.device_id) == (3, "")
