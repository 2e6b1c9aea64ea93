"""Whom the live view calls: a channel of the directory behind the flow of its device."""

from __future__ import annotations

from dataclasses import replace

from sdp.gb import Transport
from sipserver.device.channels import ChannelDirectory
from sipserver.device.errors import DeviceNotOnline
from sipserver.device.profiles import stream_selector
from sipserver.device.registry import Registry
from sipserver.device.sessions.target import PlayTarget, SsrcHabit


class ChannelTargets:
    """A ``TargetLookup`` of the sessions."""

    def __init__(self, registry: Registry, directory: ChannelDirectory) -> None:
        self._registry = registry
        self._directory = directory

    def target(self, device_id: str, channel_id: str) -> PlayTarget:
        """
        :raises UnknownDevice: no such account
        :raises UnknownChannel: not in the device's list
        :raises DeviceNotOnline: the device has no flow now
        """
        device = self._registry.get(device_id)
        channel = self._directory.get(device.device_id, channel_id)
        if device.flow is None:
            raise DeviceNotOnline(device.device_id)
        account = device.account
        return PlayTarget(
            device_id=device.device_id,
            channel_id=channel_id,
            flow=device.flow,
            edition=device.edition,
            transport=Transport(channel.settings.media_transport or account.media_transport),
            media_ip=account.media_address or "",
            selector=stream_selector(account, device.profile),
            ssrc_habit=_habit(device.details.ssrc_habit),
            session_limit=account.session_limit,
        )

    def learned(self, device_id: str, habit: SsrcHabit) -> None:
        """The sessions saw what the device does with an SSRC: kept for the next play."""
        device = self._registry.find(device_id)
        if device is not None:
            details = replace(device.details, ssrc_habit=habit.value)
            self._registry.describe(device, details)


def _habit(stored: str) -> SsrcHabit:
    try:
        return SsrcHabit(stored)
    except ValueError:  # of a later version
        return SsrcHabit.UNKNOWN
