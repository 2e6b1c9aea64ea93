import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from catalog.assembly import Assembly, AssemblyResult, AssemblySettings, Reason
from manscdp.catalog import BadItem, CatalogItem, CatalogPage

SETTINGS = AssemblySettings(first_answer=120.0, gap=5.0, settle=0.5, total=600.0, late=60.0)


def item(number: int, name: str = "") -> CatalogItem:
    return CatalogItem(device_id=f"3402000000131{number:07d}", name=name or f"Camera {number}")


def page(*numbers: int, of: int | None) -> CatalogPage:
    items = tuple(item(n) for n in numbers)
    return CatalogPage(sn=7, device_id="34020000001180000001", sum_num=of, items=items)


def ended(assembly: Assembly) -> AssemblyResult:
    """Let time pass until the collecting ends."""
    while (at := assembly.deadline()) is not None:
        if assembly.handle_timer(at):
            break
    assert assembly.result is not None
    return assembly.result


def test_pages_in_disorder_make_one_catalogue() -> None:
    assembly = Assembly(("nvr", "Catalog", 7), 100.0, SETTINGS)
    assert assembly.deadline() == 220.0
    for at, numbers in ((101.0, (3, 4)), (102.0, (1,)), (103.0, (2,))):
        assert not assembly.receive(page(*numbers, of=4), at)
    assert assembly.deadline() == 103.5
    assert not assembly.handle_timer(103.4)
    assert assembly.result is None
    assert assembly.handle_timer(103.5)
    result = assembly.result
    assert result is not None
    assert [i.device_id[-1] for i in result.items] == ["3", "4", "1", "2"]
    assert (result.complete, result.reason, result.received) == (True, Reason.COMPLETE, 4)
    assert (result.duplicates, result.conflicts, result.bad_count) == (0, (), 0)


def test_the_end_closes_after_the_time_for_late_pages() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assembly.receive(page(1, of=1), 1.0)
    assert assembly.handle_timer(1.5)
    assert assembly.deadline() == 61.5
    assert not assembly.handle_timer(61.5)
    assert assembly.deadline() is None
    assert not assembly.receive(page(2, of=2), 62.0)
    assert assembly.result is not None
    assert len(assembly.result.items) == 1


def test_empty_catalogue_ends_at_once() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assert assembly.receive(page(of=0), 1.0)
    assert assembly.result is not None
    assert (assembly.result.complete, assembly.result.reason) == (True, Reason.EMPTY)


def test_no_answer() -> None:
    result = ended(Assembly(1, 0.0, SETTINGS))
    assert (result.complete, result.reason, result.items) == (False, Reason.NO_ANSWER, ())


def test_sum_num_too_large_ends_by_the_gap_as_partial() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assembly.receive(page(1, 2, of=9), 1.0)
    assert assembly.deadline() == 6.0
    result = ended(assembly)
    assert (result.complete, result.reason, result.sum_num) == (False, Reason.GAP, 9)


def test_sum_num_too_small_shows_itself_while_settling() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    for n in range(5):
        assembly.receive(page(n, of=1), 1.0 + n / 10)
    assert assembly.deadline() == 6.4
    result = ended(assembly)
    assert len(result.items) == 5
    assert (result.complete, result.reason) == (True, Reason.SUM_NUM_WRONG)


def test_sum_num_that_changes_counts_with_its_largest_value() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    for n, of in ((1, 2), (2, 3), (3, 1)):
        assembly.receive(page(n, of=of), 1.0)
    assert assembly.deadline() == 1.5
    assert ended(assembly).sum_num == 3


def test_sum_num_that_is_not_said_is_never_complete() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assembly.receive(page(1, of=None), 1.0)
    result = ended(assembly)
    assert (result.complete, result.reason) == (False, Reason.SUM_NUM_WRONG)


def test_sum_num_zero_with_items() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assert not assembly.receive(page(1, of=0), 1.0)
    assert len(ended(assembly).items) == 1


def test_a_page_sent_again_neither_counts_nor_hides_a_missing_one() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    for numbers in ((1,), (1,), (2,)):
        assembly.receive(page(*numbers, of=3), 1.0)
    assert assembly.deadline() == 6.0
    assembly.receive(page(3, of=3), 5.0)
    assert assembly.deadline() == 5.5
    result = ended(assembly)
    assert (len(result.items), result.duplicates, result.complete) == (3, 1, True)


def test_two_channels_with_one_identifier_end_by_the_gap_and_are_reported() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    other = replace(page(1, of=2), items=(item(1, "Another"),))
    assembly.receive(page(1, of=2), 1.0)
    assembly.receive(other, 1.0)
    assert assembly.deadline() == 6.0
    result = ended(assembly)
    assert (result.complete, result.reason) == (True, Reason.COMPLETE)
    assert result.conflicts == (item(1).device_id,)
    assert [i.name for i in result.items] == ["Another"]


def test_bad_and_empty_items_count_as_received() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    odd = replace(page(1, of=3), bad_items=(BadItem("no DeviceID"),), empty_items=1)
    assembly.receive(odd, 1.0)
    assert assembly.deadline() == 1.5
    result = ended(assembly)
    assert (result.complete, result.received, result.bad_count) == (True, 3, 1)
    assert result.bad == (BadItem("no DeviceID"),)


def test_a_broken_page_makes_no_complete_catalogue() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assembly.receive(replace(page(1, of=1), recovered=True), 1.0)
    assert not ended(assembly).complete


def test_late_pages_complete_a_partial_result() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    assembly.receive(page(1, of=2), 1.0)
    assert not ended(assembly).complete
    assert assembly.receive(page(2, of=2), 30.0)
    assert not assembly.receive(page(2, of=2), 31.0)
    result = assembly.result
    assert result is not None
    assert (result.complete, result.late, len(result.items)) == (True, 1, 2)
    assert result.reason is Reason.COMPLETE


def test_total_time_ends_an_endless_answer() -> None:
    assembly = Assembly(1, 0.0, SETTINGS)
    for n in range(200):
        assembly.receive(page(n, of=10_000), n * 3.0)
    assert assembly.deadline() == 600.0
    result = ended(assembly)
    assert (result.complete, result.reason) == (False, Reason.TOTAL)


def test_items_and_reasons_are_bounded() -> None:
    assembly = Assembly(1, 0.0, replace(SETTINGS, max_items=3, max_bad=2))
    assembly.receive(page(*range(10), of=10), 1.0)
    result = ended(assembly)
    assert (len(result.items), len(result.bad), result.bad_count) == (3, 2, 7)
    assert not result.complete


@given(st.integers(0, 60), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_nothing_is_lost_or_doubled_whatever_the_network_does(
    count: int, size: int, seed: int
) -> None:
    numbers = list(range(count))
    pages = [page(*numbers[i : i + size], of=count) for i in range(0, count, size)]
    pages = pages or [page(of=0)]
    rng = random.Random(seed)
    sent = pages + rng.choices(pages, k=len(pages) // 3)
    rng.shuffle(sent)
    assembly = Assembly(1, 0.0, SETTINGS)
    for n, each in enumerate(sent):
        assembly.receive(each, n / 100)
    result = assembly.result or ended(assembly)
    assert sorted(i.device_id for i in result.items) == [item(n).device_id for n in numbers]
    assert result.complete


def test_large_catalogue_is_cheap() -> None:
    """20,000 items one by one, and a result that is asked for after each late page."""
    assembly = Assembly(1, 0.0, SETTINGS)
    for n in range(20_000):
        assembly.receive(page(n, of=20_000), n / 1000)
    result = ended(assembly)
    assert (len(result.items), result.complete) == (20_000, True)
