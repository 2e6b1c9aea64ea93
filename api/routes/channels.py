"""Channels: the tree of a device level by level, a search over all, and one channel in full."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.channel_index import ChannelIndex, ChannelView
from api.channel_indexes import ChannelIndexes
from api.errors import INVALID_REQUEST, UNKNOWN_CHANNEL, UNKNOWN_DEVICE, ApiError
from api.models import Limit, Offset, Page, Search
from api.route import Call, Nothing, Route, route

MOST_PROBLEMS: Final = 1_000


class ChildrenQuery(msgspec.Struct, frozen=True):
    parent: Annotated[
        str, Meta(max_length=32, description="The node whose children are wanted; else the root.")
    ] = ""
    offset: Offset = 0
    limit: Limit = 200


class ChannelsQuery(msgspec.Struct, frozen=True):
    search: Search = ""
    device_id: Annotated[str, Meta(max_length=32)] = ""
    playable: bool | None = None
    offset: Offset = 0
    limit: Limit = 100


class ChannelChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the operator sets for a channel; fields that are left out stay as they are."""

    name: Annotated[str, Meta(max_length=256)] | UnsetType = UNSET
    """Shown instead of the peer's; empty: the peer's again."""
    hidden: bool | UnsetType = UNSET
    media_transport: Literal["udp", "tcp-passive", "tcp-active"] | UnsetType | None = UNSET
    longitude: Annotated[float, Meta(ge=-180, le=180)] | UnsetType | None = UNSET
    latitude: Annotated[float, Meta(ge=-90, le=90)] | UnsetType | None = UNSET
    note: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET


class ProblemView(msgspec.Struct, frozen=True):
    """Something in the catalogue of a device that is not as the standard says."""

    channel_id: str
    kind: str
    """``refused item``, or what is wrong with its place in the tree."""
    detail: str


class ChannelRoutes:
    def __init__(self, channels: ChannelIndexes) -> None:
        self._channels = channels

    async def list_children(self, call: Call[ChildrenQuery, Nothing]) -> Page[ChannelView]:
        index = await self._channels.index(call.path["device_id"])
        parent = call.query.parent or index.device_id
        if parent not in index:
            raise ApiError(UNKNOWN_CHANNEL, parent)
        ids = index.children(parent)
        shown = ids[call.query.offset : call.query.offset + call.query.limit]
        items = [self._channels.view(index, channel_id) for channel_id in shown]
        return Page(items=items, total=len(ids), offset=call.query.offset)

    async def get_channel(self, call: Call[Nothing, Nothing]) -> ChannelView:
        return await self._view(call.path["device_id"], call.path["channel_id"])

    async def change_channel(self, call: Call[Nothing, ChannelChange]) -> ChannelView:
        device_id, channel_id = call.path["device_id"], call.path["channel_id"]
        given = {name: getattr(call.body, name) for name in ChannelChange.__struct_fields__}
        changes = {name: value for name, value in given.items() if value is not UNSET}
        settings = dataclasses.replace(self._channels.settings(device_id, channel_id), **changes)
        self._channels.set_settings(device_id, channel_id, settings)
        return await self._view(device_id, channel_id)

    async def search_channels(self, call: Call[ChannelsQuery, Nothing]) -> Page[ChannelView]:
        query = call.query
        devices = [query.device_id] if query.device_id else list(self._channels.device_ids())
        found: list[tuple[ChannelIndex, str]] = []
        for device_id in devices:
            index = await self._channels.index(device_id)
            found += [
                (index, channel_id)
                for channel_id in index.search(query.search)
                if query.playable is None or index.is_playable(channel_id) is query.playable
            ]
        shown = found[query.offset : query.offset + query.limit]
        items = [self._channels.view(index, channel_id) for index, channel_id in shown]
        return Page(items=items, total=len(found), offset=query.offset)

    async def catalogue_problems(self, call: Call[Nothing, Nothing]) -> list[ProblemView]:
        index = await self._channels.index(call.path["device_id"])
        refused = [
            ProblemView(channel_id=item.device_id, kind="refused item", detail=item.reason)
            for item in self._channels.refused(index.device_id)
        ]
        misplaced = [
            ProblemView(
                channel_id=problem.device_id, kind=problem.issue.value, detail=problem.parent_id
            )
            for problem in index.tree.problems
        ]
        return [*refused, *misplaced][:MOST_PROBLEMS]

    async def _view(self, device_id: str, channel_id: str) -> ChannelView:
        index = await self._channels.index(device_id)
        if channel_id not in index:
            raise ApiError(UNKNOWN_CHANNEL, channel_id)
        return self._channels.view(index, channel_id)

    def table(self) -> Sequence[Route]:
        return (
            route(
                "GET",
                "/api/v1/channels",
                self.search_channels,
                summary="Search the channels of all devices by ID or name",
                summary_zh="按编码或名称搜索通道",
                tag="channels",
                query=ChannelsQuery,
                response=Page[ChannelView],
                errors=(INVALID_REQUEST, UNKNOWN_DEVICE),
            ),
            route(
                "GET",
                "/api/v1/devices/{device_id}/channels",
                self.list_children,
                summary="The tree of a device, one level at a time, with counts",
                summary_zh="设备目录树（逐级加载，含数量）",
                tag="channels",
                query=ChildrenQuery,
                response=Page[ChannelView],
                errors=(INVALID_REQUEST, UNKNOWN_DEVICE, UNKNOWN_CHANNEL),
            ),
            route(
                "GET",
                "/api/v1/devices/{device_id}/channels/{channel_id}",
                self.get_channel,
                summary="One channel",
                summary_zh="通道详情",
                tag="channels",
                response=ChannelView,
                errors=(UNKNOWN_DEVICE, UNKNOWN_CHANNEL),
            ),
            route(
                "GET",
                "/api/v1/devices/{device_id}/catalogue-problems",
                self.catalogue_problems,
                summary="Items that were refused or are misplaced in the tree, at most 1000",
                summary_zh="目录问题：被拒绝或位置有误的条目（最多 1000 条）",
                tag="channels",
                response=list[ProblemView],
                errors=(UNKNOWN_DEVICE,),
            ),
            route(
                "PATCH",
                "/api/v1/devices/{device_id}/channels/{channel_id}",
                self.change_channel,
                summary="Change what the operator sets for a channel",
                summary_zh="修改通道的自定义设置",
                tag="channels",
                body=ChannelChange,
                response=ChannelView,
                errors=(INVALID_REQUEST, UNKNOWN_DEVICE, UNKNOWN_CHANNEL),
            ),
        )
