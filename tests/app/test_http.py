import socket

import pytest
from aiohttp import ClientSession, web

from api.settings import HttpSettings
from app.errors import StartError
from app.http import HttpSite, bind


async def test_a_site_serves_at_a_free_port() -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    site = HttpSite(app, HttpSettings(host="127.0.0.1", port=0))
    await site.start()
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{site.port}/") as answer:
        assert await answer.text() == "hello"
    await site.close()


def test_a_taken_port_is_one_sentence_with_the_remedy() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"port {port} is taken.*\[http\] port"):
            bind("127.0.0.1", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(StartError, match="cannot be listened at"):
        bind(host, 0)
