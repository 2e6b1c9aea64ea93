import pytest
import typer

from app.console import give_up, say


def test_giving_up_is_one_line_each_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        give_up("The port [5060] is taken.", "Choose another one.")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err.splitlines() == [
        "The port [5060] is taken.",
        "Choose another one.",
    ]


def test_what_is_said_is_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    say("[http] port 你好")
    assert capsys.readouterr().out == "[http] port 你好\n"
