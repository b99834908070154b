"""The floor every figure is compared with: a proxy on aiohttp without a single feature.

uvloop, aiohttp's low-level server, one shared client session without a connection limit, bodies relayed as
they are. Method, path, body, content type and authorization go up; status, content type and body come back.
This is how one writes a proxy with aiohttp when nothing else is asked of it: neither handicapped nor tuned,
and it does not change once reviewed, so that figures of different days stay comparable.

Usage: ``python tests/bench/bare.py --port PORT --upstream http://127.0.0.1:MOCK``
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import signal

import aiohttp
import uvloop
from aiohttp import hdrs, web

_FORWARDED = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE)
_BODY_LIMIT = 64 * 2**20  # bytes; aiohttp's own default of 1 MiB is no proxy's


class BareProxy:
    """Relays every request to one upstream.

    Args:
        session: the shared client session.
        upstream: scheme, host and port in front of the caller's path.
    """

    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        self._session = session
        self._upstream = upstream

    async def relay(self, request: web.BaseRequest) -> web.StreamResponse:
        """Send the request up and its answer down; a stream chunk by chunk, anything else whole."""
        body = await request.read()
        headers = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        async with self._session.request(
            request.method,
            self._upstream + request.path_qs,
            data=body,
            headers=headers,
            allow_redirects=False,
        ) as upstream:
            kind = upstream.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream")
            if not kind.startswith("text/event-stream"):
                answer = await upstream.read()
                return web.Response(status=upstream.status, body=answer, headers={hdrs.CONTENT_TYPE: kind})
            stream = web.StreamResponse(status=upstream.status, headers={hdrs.CONTENT_TYPE: kind})
            await stream.prepare(request)
            async for chunk in upstream.content.iter_any():
                await stream.write(chunk)
            await stream.write_eof()
            return stream

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Relay, and answer 502 when the upstream cannot be reached."""
        try:
            return await self.relay(request)
        except aiohttp.ClientConnectorError as error:
            return web.Response(status=502, text=f"upstream: {error}")


async def serve(port: int, upstream: str) -> None:
    """Serve on ``127.0.0.1:port`` until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    make_request = functools.partial(web.BaseRequest, loop=loop, client_max_size=_BODY_LIMIT)

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None),  # streams may last
        cookie_jar=aiohttp.DummyCookieJar(),  # one caller's cookies are not another's
        headers={hdrs.ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
    ) as session:
        handler = web.Server(
            BareProxy(session, upstream).handle,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
        )
        server = await loop.create_server(handler, "127.0.0.1", port)
        await stopped.wait()
        server.close()
        await handler.shutdown(timeout=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True, help="http://HOST:PORT")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.upstream.rstrip("/")))
