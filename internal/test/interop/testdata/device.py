"""A device made with pyshv, at the command of a Go test. Its one argument is the
URL of the broker, with where it mounts itself."""

import asyncio
import sys

from lines import say, serve
from shv.rpcapi.device import SHVDevice
from shv.rpcapi.methods import SHVMethods
from shv.rpcdef import RpcAccess, RpcDir, RpcInvalidParamError


class Device(SHVMethods, SHVDevice):
    APP_NAME = "interop-device"

    def __init__(self, *args, **kwargs):
        self.value = 0
        self.started = self.stopped = 0
        super().__init__(*args, **kwargs)

    @SHVMethods.property("value", "i", signal=True)
    def value_get(self, max_age):
        return self.value

    @SHVMethods.property_setter(value_get)
    async def value_set(self, value, user_id):
        if not isinstance(value, int):
            raise RpcInvalidParamError("an Int, please")
        self.value = value
        await self.value_get.signal(value)

    @SHVMethods.method("values", RpcDir("echo", param="?", result="?"))
    def echo(self, request):
        return request.param

    @SHVMethods.method("slow", RpcDir("run", param="d", result="i", access=RpcAccess.COMMAND))
    async def slow_run(self, request):
        """Takes the param's seconds and tells how often it was started."""
        self.started += 1
        say(event="started")
        try:
            for step in range(10):
                request.progress = step / 10
                await asyncio.sleep(request.param / 10)
        except asyncio.CancelledError:
            self.stopped += 1
            say(event="stopped")
            raise
        return self.started


class Commands:
    def __init__(self, device):
        self.device = device

    async def counts(self):
        return [self.device.started, self.device.stopped]

    async def burst(self, count):
        for value in range(count):
            await self.device.value_get.signal(value)

    async def disconnect(self):
        await self.device.disconnect()


async def main():
    device = await Device.connect(sys.argv[1])
    say(event="mounted")
    await serve(Commands(device))


asyncio.run(main())
