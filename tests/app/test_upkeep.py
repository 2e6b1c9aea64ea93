from app.upkeep import DAY, HistoryPruning


class Memory:
    def __init__(self) -> None:
        self.before = 0.0

    async def forget_before(self, at: float) -> int:
        self.before = at
        return 3


async def test_what_is_older_than_the_settings_say_goes() -> None:
    one, other = Memory(), Memory()
    pruning = HistoryPruning((one, other), 10, clock=lambda: 100 * DAY)
    assert await pruning.prune() == 6
    assert (one.before, other.before) == (90 * DAY, 90 * DAY)
