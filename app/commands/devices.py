"""``gb28181 device``: which devices may register. A running server takes changes over at once."""

from typing import Annotated

import typer
from rich.table import Table

from api.passwords import random_password
from app.commands.options import ConfigOption, DataOption, settings_of, with_storage
from app.console import give_up, out, say
from app.settings import Settings
from sipserver.device.accounts import DeviceAccount

app = typer.Typer(
    help="Provision devices: who may register. 管理允许注册的设备。\n\n"
    "Example: gb28181 device add 34020000001320000001 --password 12345678",
    no_args_is_help=True,
)
DeviceId = Annotated[str, typer.Argument(help="ID of the device, 20 digits. 设备编码。")]


@app.command("add")
def add(
    device_id: DeviceId,
    password: Annotated[
        str, typer.Option(help="SIP password; without it a random one is made. 密码。")
    ] = "",
    name: Annotated[str, typer.Option(help="Name shown in the console. 名称。")] = "",
    media_transport: Annotated[
        str, typer.Option(help="udp, tcp-passive or tcp-active. 媒体传输方式。")
    ] = "udp",
    username: Annotated[
        str, typer.Option(help="Digest user name, when it is not the ID. 认证用户名。")
    ] = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Let a device register, or change its password. 添加设备或修改其密码。

    Example: gb28181 device add 34020000001320000001 --media-transport tcp-passive
    """
    chosen = password or random_password(12)
    try:
        account = DeviceAccount(
            device_id=device_id,
            password=chosen,
            username=username or None,
            name=name,
            media_transport=media_transport,
        )
    except ValueError as error:
        give_up(f"{error}.")
    _provision(settings_of(config, data=data), account)
    say(f"Device {device_id} may register. 设备可以注册。")
    if not password:
        say(f"Password 密码: {chosen}", "bold")


@app.command("list")
def list_devices(config: ConfigOption = None, data: DataOption = None) -> None:
    """List the devices that may register. 列出设备。

    Example: gb28181 device list
    """
    table = Table("ID 编码", "Name 名称", "Media 媒体", "Enabled 启用", "Origin 来源")
    for account in _accounts(settings_of(config, data=data)):
        origin = "provisioned" if account.provisioned else "common password"
        enabled = "yes" if account.enabled else "no"
        table.add_row(account.device_id, account.name, account.media_transport, enabled, origin)
    out.print(table)


@app.command("remove")
def remove(device_id: DeviceId, config: ConfigOption = None, data: DataOption = None) -> None:
    """Remove a device: it goes offline and may not register again. 删除设备。

    Example: gb28181 device remove 34020000001320000001
    """
    if not _remove(settings_of(config, data=data), device_id):
        give_up(f"There is no device {device_id}; `gb28181 device list` shows all.")
    say(f"Device {device_id} is removed. 设备已删除。")


def _provision(settings: Settings, account: DeviceAccount) -> None:
    with_storage(settings, lambda storage: storage.provisioning.put(account))


def _accounts(settings: Settings) -> list[DeviceAccount]:
    return with_storage(settings, lambda storage: storage.provisioning.accounts())


def _remove(settings: Settings, device_id: str) -> bool:
    return with_storage(settings, lambda storage: storage.provisioning.remove(device_id))
