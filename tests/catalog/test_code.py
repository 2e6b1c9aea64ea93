import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.code import DeviceCode, is_acceptable_id, is_region_code, is_video_channel


def test_parts() -> None:
    code = DeviceCode.parse("34020012341317000123")
    assert code is not None
    assert (code.centre, code.domain, code.industry) == ("34020012", "3402001234", 34)
    assert (code.type, code.network, code.serial) == (131, 7, 123)
    assert (code.type_name_en, code.type_name_zh) == ("camera", "摄像机")
    assert code.region == "34020012"
    assert str(code) == "34020012341317000123"


@pytest.mark.parametrize(
    ("code", "region"),
    [
        ("34020000001310000001", "3402"),
        ("11000000002000000001", "11"),
        ("34020200001310000001", "340202"),
    ],
)
def test_region_leaves_out_levels_that_are_not_there(code: str, region: str) -> None:
    parsed = DeviceCode.parse(code)
    assert parsed is not None
    assert parsed.region == region


@pytest.mark.parametrize("text", ["", "3402", "3402000000131000000", "3402000000131000000a",
                                  "３４０２０００000131000000"])  # fmt: skip
def test_no_code(text: str) -> None:
    assert DeviceCode.parse(text) is None


@pytest.mark.parametrize(
    ("device_id", "video"),
    [
        ("34020000001310000001", True), ("34020000001320000001", True),
        ("34020000001210000001", True), ("34020000001180000001", False),
        ("34020000001340000001", False), ("34020000001370000001", False),
        ("34020000002000000001", False), ("34020000002160000001", False),
        ("3402", False), ("340200000000000160", True), ("340200000000000100", False),
        ("cam7", True),
    ],
)  # fmt: skip
def test_video_channel(device_id: str, video: bool) -> None:
    assert is_video_channel(device_id) is video


@pytest.mark.parametrize(
    ("type_code", "names"),
    [("119", ("front-end device", "前端主设备")), ("150", ("front-end peripheral", "前端外围设备")),
     ("299", ("platform equipment", "平台设备")), ("700", ("extension", "扩展"))],
)  # fmt: skip
def test_names_of_ranges(type_code: str, names: tuple[str, str]) -> None:
    code = DeviceCode.parse(f"3402000000{type_code}0000001")
    assert code is not None
    assert code.type_names == names


def test_kinds() -> None:
    types = {t: DeviceCode(f"3402000000{t}0000001") for t in (200, 215, 216, 131)}
    assert [c.is_system for c in types.values()] == [True, False, False, False]
    assert [c.is_directory for c in types.values()] == [False, True, True, False]


def test_region_codes_and_identifiers() -> None:
    assert [is_region_code(t) for t in ("34", "3402", "340200", "34020000", "340", "ab", "")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip
    assert is_acceptable_id("abcXYZ012")
    assert not is_acceptable_id("a" * 33)
    assert not is_acceptable_id("a-b")
    assert not is_acceptable_id("")


@given(st.text(max_size=24))
def test_any_text_has_an_answer(text: str) -> None:
    is_video_channel(text)
    is_region_code(text)
    DeviceCode.parse(text)
