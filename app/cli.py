"""``gb28181``: the entry of the command line."""

import sys

EXIT_CANNOT_START = 2


def main() -> None:
    """Run one command; the commands stand in :mod:`app.commands`."""
    try:
        from app.commands import app
    except ImportError as error:
        if "media_relay" not in str(error) and "_core" not in str(error):
            raise
        sys.stderr.write(
            "The media core is not built for this Python. Run `make build` in the checkout, or"
            f" install the wheel again. 媒体核心未构建，请执行 make build。 ({error})\n"
        )
        sys.exit(EXIT_CANNOT_START)
    app()
