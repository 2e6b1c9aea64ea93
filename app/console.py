"""What the commands say to the person at the terminal."""

from typing import Final, NoReturn

import typer
from rich.console import Console

EXIT_CANNOT_START: Final = 2

out: Final = Console()
err: Final = Console(stderr=True)


def give_up(*sentences: str) -> NoReturn:
    """Say what is wrong, one sentence a line, and leave without a traceback."""
    for sentence in sentences:
        err.print(sentence, style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_CANNOT_START)


def say(text: str, style: str | None = None) -> None:
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
