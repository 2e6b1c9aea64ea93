"""Devices: who may register, who is there, and what they say of themselves."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from api.device_models import (
    DeviceChange,
    DeviceDetail,
    DevicesQuery,
    DeviceView,
    InformationView,
    NewDevice,
    SyncView,
    account_of,
    account_view,
    changes_of,
    device_view,
)
from api.errors import (
    ALREADY_EXISTS,
    DEVICE_OFFLINE,
    DEVICE_REFUSED,
    DEVICE_SILENT,
    DEVICE_UNREACHABLE,
    INVALID_REQUEST,
    OVERLOADED,
    STORAGE_FAILED,
    UNKNOWN_DEVICE,
    ApiError,
    Problem,
)
from api.models import Page
from api.route import Call, Nothing, Route, route
from sipserver.device.accounts import DeviceAccount
from sipserver.device.device import Device

_ASKING: tuple[Problem, ...] = (
    UNKNOWN_DEVICE,
    DEVICE_OFFLINE,
    OVERLOADED,
    DEVICE_UNREACHABLE,
    DEVICE_REFUSED,
    DEVICE_SILENT,
)


class DeviceService(Protocol):
    """Devices and their accounts, as the composition root joins them."""

    def __iter__(self) -> Iterator[Device]: ...
    def find(self, device_id: str) -> Device | None: ...

    def get(self, device_id: str) -> Device:
        """:raises UnknownDevice:"""

    def put(self, account: DeviceAccount) -> Device: ...
    def remove(self, device_id: str) -> None: ...

    async def settled(self) -> None:
        """Everything changed so far has reached the database."""

    def channel_counts(self, device_id: str) -> tuple[int, int]:
        """All, and those online."""

    async def synchronise(self, device_id: str) -> SyncView: ...
    async def information(self, device_id: str) -> InformationView: ...
    async def status(self, device_id: str) -> InformationView: ...


class DeviceRoutes:
    def __init__(self, devices: DeviceService) -> None:
        self._devices = devices

    async def list_devices(self, call: Call[DevicesQuery, Nothing]) -> Page[DeviceView]:
        query = call.query
        matching = [device for device in self._devices if _matches(device, query)]
        matching.sort(key=lambda device: device.device_id)
        shown = matching[query.offset : query.offset + query.limit]
        items = [self._view(device) for device in shown]
        return Page(items=items, total=len(matching), offset=query.offset)

    async def get_device(self, call: Call[Nothing, Nothing]) -> DeviceDetail:
        return self._detail(self._devices.get(call.path["device_id"]))

    async def create_device(self, call: Call[Nothing, NewDevice]) -> DeviceDetail:
        if self._devices.find(call.body.device_id) is not None:
            raise ApiError(ALREADY_EXISTS, call.body.device_id)
        try:
            account = account_of(call.body)
        except ValueError as error:
            raise ApiError(INVALID_REQUEST, str(error)) from error
        return await self._put(account)

    async def change_device(self, call: Call[Nothing, DeviceChange]) -> DeviceDetail:
        device = self._devices.get(call.path["device_id"])
        try:
            account = dataclasses.replace(device.account, **changes_of(call.body), provisioned=True)
        except ValueError as error:
            raise ApiError(INVALID_REQUEST, str(error)) from error
        return await self._put(account)

    async def delete_device(self, call: Call[Nothing, Nothing]) -> None:
        device = self._devices.get(call.path["device_id"])
        self._devices.remove(device.device_id)
        await self._devices.settled()

    async def synchronise_device(self, call: Call[Nothing, Nothing]) -> SyncView:
        return await self._devices.synchronise(call.path["device_id"])

    async def ask_information(self, call: Call[Nothing, Nothing]) -> InformationView:
        return await self._devices.information(call.path["device_id"])

    async def ask_status(self, call: Call[Nothing, Nothing]) -> InformationView:
        return await self._devices.status(call.path["device_id"])

    async def _put(self, account: DeviceAccount) -> DeviceDetail:
        device = self._devices.put(account)
        await self._devices.settled()
        return self._detail(device)

    def _detail(self, device: Device) -> DeviceDetail:
        return DeviceDetail(device=self._view(device), account=account_view(device.account))

    def _view(self, device: Device) -> DeviceView:
        return device_view(device, *self._devices.channel_counts(device.device_id))

    def table(self) -> Sequence[Route]:
        return (
            route(
                "GET",
                "/api/v1/devices",
                self.list_devices,
                summary="Devices, by ID",
                summary_zh="设备列表",
                tag="devices",
                query=DevicesQuery,
                response=Page[DeviceView],
                errors=(INVALID_REQUEST,),
            ),
            route(
                "POST",
                "/api/v1/devices",
                self.create_device,
                summary="Let a device register",
                summary_zh="添加设备（允许其注册）",
                tag="devices",
                body=NewDevice,
                response=DeviceDetail,
                errors=(INVALID_REQUEST, ALREADY_EXISTS, STORAGE_FAILED),
            ),
            route(
                "GET",
                "/api/v1/devices/{device_id}",
                self.get_device,
                summary="One device and its account",
                summary_zh="设备详情与账号",
                tag="devices",
                response=DeviceDetail,
                errors=(UNKNOWN_DEVICE,),
            ),
            route(
                "PATCH",
                "/api/v1/devices/{device_id}",
                self.change_device,
                summary="Change the account of a device",
                summary_zh="修改设备账号",
                tag="devices",
                body=DeviceChange,
                response=DeviceDetail,
                errors=(INVALID_REQUEST, UNKNOWN_DEVICE, STORAGE_FAILED),
            ),
            route(
                "DELETE",
                "/api/v1/devices/{device_id}",
                self.delete_device,
                summary="Remove a device; it goes offline and may not register again",
                summary_zh="删除设备（立即离线且不能再注册）",
                tag="devices",
                errors=(UNKNOWN_DEVICE, STORAGE_FAILED),
            ),
            route(
                "POST",
                "/api/v1/devices/{device_id}/sync",
                self.synchronise_device,
                summary="Query the catalogue of a device and wait for its end",
                summary_zh="同步设备目录并等待完成",
                tag="devices",
                response=SyncView,
                errors=_ASKING,
            ),
            route(
                "GET",
                "/api/v1/devices/{device_id}/information",
                self.ask_information,
                summary="Ask the device for DeviceInfo (GB/T 28181-2022 A.2.4.4)",
                summary_zh="查询设备信息",
                tag="devices",
                response=InformationView,
                errors=_ASKING,
            ),
            route(
                "GET",
                "/api/v1/devices/{device_id}/status",
                self.ask_status,
                summary="Ask the device for DeviceStatus (GB/T 28181-2022 A.2.4.2)",
                summary_zh="查询设备状态",
                tag="devices",
                response=InformationView,
                errors=_ASKING,
            ),
        )


def _matches(device: Device, query: DevicesQuery) -> bool:
    if query.online is not None and device.online is not query.online:
        return False
    if not query.search:
        return True
    wanted = query.search.lower()
    texts = (device.device_id, device.account.name, device.details.name)
    return any(wanted in text.lower() for text in texts)
