"""A client made with pyshv, at the command of a Go test."""

import asyncio
import datetime
import decimal
import functools

import shv
import shv.rpctransport.url
from lines import say, serve
from shv.rpcapi import SHVBase
from shv.rpcapi.client import SHVClient
from shv.rpcmessage import RpcMessage
from shv.rpctransport import RpcClientWebSockets, connect_rpc_client
from shv.rpcurl import RpcUrl


class Client(SHVClient):
    async def _got_signal(self, signal):
        say(
            event="signal",
            path=signal.path,
            source=signal.source,
            signal=signal.signal,
            param=signal.param,
        )


# Each type of value, with the ends of what it holds.
VALUES = [
    None,
    True,
    [-(2**63), -1, 0, 63, 64, 2**63 - 1],
    [shv.SHVUInt(0), shv.SHVUInt(63), shv.SHVUInt(2**64 - 1)],
    [0.1, -1e300],
    decimal.Decimal("-12.345"),
    "žluťoučký kůň\n\0\"\\",
    bytes(range(256)),
    datetime.datetime(2026, 2, 28, 23, 59, 59, 123000, datetime.timezone.utc),
    {"": 1, "a": {"b": []}},
    {1: "one", 2**40: {3: None}},
    shv.SHVMeta.new(17, {1: 2, "key": "meta"}),
    "x" * 1_000_000,
]


class Commands:
    client = None

    async def connect(self, url, idle=180.0, query=1.0):
        # pyshv leaves out the port of a WebSocket, and takes its host for a socket.
        shv.rpctransport.url.RpcClientWebSockets = functools.partial(
            RpcClientWebSockets, port=RpcUrl.parse(url).port
        )
        kind = type("Client", (Client,), {"IDLE_TIMEOUT": idle})
        self.client = await kind.connect(url, call_query_timeout=query)

    async def disconnect(self):
        await self.client.disconnect()

    async def plain(self, url, hello):
        """Log in by PLAIN over any transport, which SHVClient does over TLS only."""
        url = RpcUrl.parse(url)
        base = SHVBase(await connect_rpc_client(url))
        try:
            if hello:
                await base.call("", "hello")
            await base.call("", "login", url.login.to_shv(None, {}, True))
            await base.ping()
        finally:
            await base.disconnect()

    async def silent(self, url, idle):
        """Log in, say nothing more, and wait until the broker has enough of it."""
        url = RpcUrl.parse(url)
        base = SHVBase(await connect_rpc_client(url))
        hello = await base.call("", "hello")
        options = {"idleWatchDogTimeOut": idle}
        await base.call("", "login", url.login.to_shv(hello["nonce"], options))
        await base.client.wait_disconnect()

    async def version(self):
        return list(await self.client.peer_shv_version())

    async def ping(self):
        await self.client.ping()

    async def ls(self, path):
        return await self.client.ls(path)

    async def dir(self, path, details=False):
        return [
            {"name": m.name, "access": int(m.access), "signals": list(m.signals)}
            for m in await self.client.dir(path, details)
        ]

    async def has_child(self, path, name):
        return await self.client.ls_has_child(path, name)

    async def has_method(self, path, name):
        return await self.client.dir_exists(path, name)

    async def call(self, path, method, param=None):
        return await self.client.call(path, method, param)

    async def delayed(self, path, method, param=None):
        """Call, and tell the Delays that came before the result too."""
        delays = []
        result = await self.client.call(path, method, param, progress=delays.append)
        return {"result": result, "delays": delays}

    async def type_of(self, path, method):
        return type(await self.client.call(path, method)).__name__

    async def query(self, path, method, abort):
        """Ask after, or abort, a call that was never made."""
        request = RpcMessage.request(path, method)
        queue = self.client._responses[request.request_id] = asyncio.Queue()
        await self.client._send(request.make_abort(abort))
        answer = await queue.get()
        if answer.error is not None:
            raise answer.error
        return answer.result

    async def echo(self, path, method, big=True):
        """Send each of VALUES there and tell those that did not come back alike."""
        spoiled = []
        for value in VALUES if big else VALUES[:-1]:
            back = await self.client.call(path, method, value)
            if not shv.shvmeta_eq(back, value):
                spoiled.append([repr(value)[:200], repr(back)[:200]])
        return spoiled

    async def subscribe(self, ri):
        return await self.client.subscribe(ri)

    async def unsubscribe(self, ri):
        return await self.client.unsubscribe(ri)


asyncio.run(serve(Commands()))
