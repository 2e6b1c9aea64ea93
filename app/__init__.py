"""The composition root: settings, wiring, command line, life cycle."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gb28181-server")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0.1.0"
