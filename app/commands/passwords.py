"""``gb28181 password``: the users of the console."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.options import ConfigOption, DataOption, settings_of, with_storage
from app.console import give_up, say
from app.first_run import ADMIN, InitialLogin, reset_password

if TYPE_CHECKING:
    from app.services import Storage

app = typer.Typer(
    help="Passwords of the console's users. 控制台用户密码。\n\nExample: gb28181 password reset",
    no_args_is_help=True,
)


@app.callback()
def passwords() -> None:
    """Passwords of the console's users. 控制台用户密码。

    Example: gb28181 password reset
    """


@app.command("reset")
def reset(
    user: Annotated[str, typer.Argument(help="Name of the user. 用户名。")] = ADMIN,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Give a user a new random password and print it. 重置用户密码并显示。

    Example: gb28181 password reset admin
    """
    settings = settings_of(config, data=data)

    async def work(storage: "Storage") -> InitialLogin | None:
        known = user == ADMIN or await storage.users.password_hash(user) is not None
        return await reset_password(storage.users, user, storage.directory) if known else None

    login = with_storage(settings, work)
    if login is None:
        give_up(f"There is no user {user}; the first user is {ADMIN}.")
    say(f"User {login.name}, password {login.password}", "bold")
    say(f"It is kept in {login.file} until it is changed. 修改前保存在该文件中。")
