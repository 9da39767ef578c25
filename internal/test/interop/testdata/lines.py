"""What the Go tests and their peers in Python say to each other.

The test writes one JSON object a line: {"id": 1, "do": NAME, "args": {...}} calls
the method NAME of the peer's commands, {"cancel": 1} cancels that. The peer answers
with {"id": 1} and "result", "error" {"code", "message"} or "cancelled", in any
order, and says {"event": NAME, ...} by itself. The end of stdin ends it.
"""

import asyncio
import json
import sys

from shv.rpcdef import RpcError


def say(**message):
    # What JSON has no word for goes as text: tests compare no more than that.
    print(json.dumps(message, default=str), flush=True)


async def serve(commands):
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    tasks = {}

    async def run(number, name, args):
        try:
            say(id=number, result=await getattr(commands, name)(**args))
        except asyncio.CancelledError:
            say(id=number, cancelled=True)
        except RpcError as exc:
            say(id=number, error={"code": int(exc.args[1]), "message": exc.message})
        except Exception as exc:
            say(id=number, error={"code": 0, "message": repr(exc)})
        finally:
            del tasks[number]

    while line := await reader.readline():
        message = json.loads(line)
        if "cancel" in message:
            tasks[message["cancel"]].cancel()
            continue
        number = message["id"]
        tasks[number] = asyncio.create_task(
            run(number, message["do"], message.get("args") or {})
        )
