"""``gb28181 export-openapi`` and ``export-configuration``: the generated documents."""

from pathlib import Path
from typing import Annotated

import typer

from app.configuration_page import configuration_page
from app.console import give_up

OutputOption = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File to write; else to the terminal. 输出文件。"),
]


def export_openapi(output: OutputOption = None) -> None:
    """Write the OpenAPI 3.1 document of the API. 导出 OpenAPI 文档。

    Example: gb28181 export-openapi --output api/openapi.json
    """
    from api.application import openapi_document  # with aiohttp: the other commands do without
    from app.wiring import documented_routes

    _write(openapi_document(documented_routes()), output)


def export_configuration(output: OutputOption = None) -> None:
    """Write the page that explains every key of the configuration. 导出配置说明。

    Example: gb28181 export-configuration --output docs/configuration.md
    """
    _write(configuration_page().encode(), output)


def _write(content: bytes, output: Path | None) -> None:
    if output is None:
        typer.echo(content.decode(), nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        give_up(f"{output} cannot be written ({error.strerror}). Give another file with --output.")
