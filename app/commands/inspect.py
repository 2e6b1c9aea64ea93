"""``gb28181 check-config`` and ``gb28181 version``."""

import platform
import ssl

from app import __version__
from app.commands.options import ConfigOption, settings_of
from app.console import say
from app.settings import as_toml, effective


def check_config(config: ConfigOption = None) -> None:
    """Check the configuration and print the values in effect, secrets masked. 检查配置。

    Every mistake is one sentence, and the exit code is then 2.

    Example: gb28181 check-config --config gb28181.toml
    """
    settings = settings_of(config)
    say(as_toml(effective(settings)))
    say("# The configuration is valid. 配置有效。")


def version() -> None:
    """Print the version of the platform and of what it runs on. 显示版本。

    Example: gb28181 version
    """
    say(f"gb28181-server {__version__}")
    say(f"Python {platform.python_version()} ({platform.system()} {platform.machine()})")
    say(ssl.OPENSSL_VERSION)
