"""Tests of whole programs: which of them this machine cannot run, and why."""

import shutil

import pytest

NEEDED = {
    "sipp": "SIPp (Debian package sip-tester)",
    "tshark": "tshark (Debian package tshark)",
    "ffmpeg": "FFmpeg (Debian package ffmpeg)",
    "ffprobe": "FFmpeg (Debian package ffmpeg)",
    "chromium": "Chromium (Debian package chromium)",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip a test marked ``foreign("program", ...)`` whose program is missing."""
    for item in items:
        programs = [name for marker in item.iter_markers("foreign") for name in marker.args]
        missing = [NEEDED.get(name, name) for name in programs if shutil.which(name) is None]
        if missing:
            reason = f"{', '.join(missing)} is not installed: sudo bash .ci/setup-debian.sh"
            item.add_marker(pytest.mark.skip(reason=reason))
