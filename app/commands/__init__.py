"""The commands of ``gb28181``, joined."""

import typer

from app.commands import demo, devices, export, inspect, passwords, serve
from simulators.cli import app as simulate

app = typer.Typer(
    name="gb28181",
    help="GB/T 28181 video platform: cameras register, and their live pictures play.\n\n"
    "GB/T 28181 视频平台：摄像机注册、目录同步与实时点播。\n\n"
    "Example: gb28181 serve",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.add_typer(simulate, name="simulate")
app.command("check-config")(inspect.check_config)
app.command("version")(inspect.version)
app.add_typer(devices.app, name="device")
app.add_typer(passwords.app, name="password")
app.command("media-node")(serve.media_node)
app.command("export-openapi")(export.export_openapi)
app.command("export-configuration")(export.export_configuration)
app.command("demo-cameras", hidden=True)(demo.demo_cameras)

__all__ = ["app"]
