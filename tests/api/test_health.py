from api.health import ReasonView, examine


def test_all_is_well() -> None:
    health = examine({"database": lambda: "", "sip": lambda: ""})
    assert (health.status, health.reasons, health.checked) == ("ok", [], ["database", "sip"])


def test_each_part_that_is_not_well_is_named() -> None:
    health = examine({"database": lambda: "disk full", "sip": lambda: ""})
    assert health.status == "not ready"
    assert health.reasons == [ReasonView(part="database", reason="disk full")]
