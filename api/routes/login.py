"""Log in, log out, change the password."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from api.authentication import COOKIE, Authenticator, credential_of
from api.client_address import ClientAddresses
from api.errors import INVALID_REQUEST, TOO_MANY_ATTEMPTS, WRONG_CREDENTIALS
from api.route import Access, Answer, Call, Nothing, Route, route

Password = Annotated[str, Meta(min_length=1, max_length=200)]
NewPassword = Annotated[str, Meta(min_length=8, max_length=200)]


class LoginRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name and password of a user."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    password: Password


class LoginView(msgspec.Struct, frozen=True):
    """The token of this login; the same is set as a cookie."""

    user: str
    token: str


class PasswordChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The old password proves that it is the user who changes it."""

    old_password: Password
    new_password: NewPassword


class UserView(msgspec.Struct, frozen=True):
    """Who is logged in."""

    user: str


class LoginRoutes:
    def __init__(
        self, authenticator: Authenticator, addresses: ClientAddresses, *, secure_cookie: bool
    ) -> None:
        self._authenticator = authenticator
        self._addresses = addresses
        self._attributes = "HttpOnly; SameSite=Strict; Path=/" + "; Secure" * secure_cookie

    async def log_in(self, call: Call[Nothing, LoginRequest]) -> Answer:
        address = self._addresses.of(call.request)
        token = await self._authenticator.log_in(call.body.name, call.body.password, address)
        view = LoginView(user=call.body.name, token=token)
        return Answer(view, {"Set-Cookie": f"{COOKIE}={token}; {self._attributes}"})

    async def log_out(self, call: Call[Nothing, Nothing]) -> Answer:
        credential = credential_of(call.request)
        if credential is not None:
            self._authenticator.log_out(credential.token)
        return Answer(None, {"Set-Cookie": f"{COOKIE}=; Max-Age=0; {self._attributes}"})

    async def current_user(self, call: Call[Nothing, Nothing]) -> UserView:
        return UserView(user=call.user)

    async def change_password(self, call: Call[Nothing, PasswordChange]) -> None:
        credential = credential_of(call.request)
        await self._authenticator.change_password(
            call.user,
            call.body.old_password,
            call.body.new_password,
            token=credential.token if credential else "",
            address=self._addresses.of(call.request),
        )

    def table(self) -> Sequence[Route]:
        return (
            route(
                "POST",
                "/api/v1/login",
                self.log_in,
                summary="Log in",
                summary_zh="登录",
                tag="login",
                body=LoginRequest,
                response=LoginView,
                errors=(INVALID_REQUEST, WRONG_CREDENTIALS, TOO_MANY_ATTEMPTS),
                access=Access.PUBLIC,
            ),
            route(
                "POST",
                "/api/v1/logout",
                self.log_out,
                summary="Log out: the token ends",
                summary_zh="退出登录",
                tag="login",
            ),
            route(
                "GET",
                "/api/v1/user",
                self.current_user,
                summary="Who is logged in",
                summary_zh="当前用户",
                tag="login",
                response=UserView,
            ),
            route(
                "POST",
                "/api/v1/user/password",
                self.change_password,
                summary="Change the password; the user's other logins end",
                summary_zh="修改密码（该用户的其他登录失效）",
                tag="login",
                body=PasswordChange,
                errors=(INVALID_REQUEST, WRONG_CREDENTIALS, TOO_MANY_ATTEMPTS),
            ),
        )
