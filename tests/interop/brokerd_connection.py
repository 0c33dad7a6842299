"""One connection to brokerd, from its hello to its end: frames, request ids, heartbeat.

Runs on the event loop it was created on.
"""

import asyncio
import os
import socket
from types import SimpleNamespace
from typing import Callable

import brokerd_protocol as protocol
from brokerd_protocol import BrokerError

FRAME_BYTES_MAX = 72 << 20
HANDSHAKE_S = 10


class ConnectionLost(Exception):
    """The connection ended; what became of an unanswered request is unknown."""


class Connection:
    """One connection. What nobody here waits for (pushes, errors) goes to on_push(name, request
    id, message). `terms` is the broker's hello_ok; `closed` is set at the end, `error` says why
    if the broker did."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer
        self.on_push: Callable[[str, int, SimpleNamespace], None] = lambda *_: None
        self.terms = SimpleNamespace()
        self.closed = asyncio.Event()
        self.error: Exception | None = None
        self._next_id = 0
        self._answers: dict[int, asyncio.Future] = {}
        self._tasks: list[asyncio.Task] = []
        self._sent_at = self._heard_at = asyncio.get_running_loop().time()

    @classmethod
    async def dial(cls, host: str, port: int) -> "Connection":
        """A connection that has not said hello yet."""
        self = cls(*await asyncio.open_connection(host, port))
        self._tasks.append(asyncio.create_task(self._read()))
        return self

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        name: str = "",
        on_push: Callable | None = None,
        versions: tuple[int, int] = (protocol.VERSION, protocol.VERSION),
        features_required: int = 0,
        features_offered: int = 0,
    ) -> "Connection":
        self = await cls.dial(host, port)
        self.on_push = on_push or self.on_push
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                self.terms = await self.request(
                    "hello",
                    magic=protocol.MAGIC,
                    version_min=versions[0],
                    version_max=versions[1],
                    features_required=features_required,
                    features_offered=features_offered,
                    client_name=name or f"python@{socket.gethostname()}:{os.getpid()}",
                )
        except BaseException:
            self.abort()
            raise
        self._tasks.append(asyncio.create_task(self._heartbeat()))
        return self

    def send(self, name: str, /, request_id: int | None = None, **fields) -> int:
        """Sends a frame under a new id, unless one is given, and returns the id."""
        if request_id is None:
            self._next_id = request_id = self._next_id % 0xFFFFFFFF + 1
        self.send_bytes(protocol.encode_frame(name, request_id, **fields))
        return request_id

    def send_bytes(self, data: bytes) -> None:
        if self.closed.is_set():
            raise ConnectionLost("the connection is closed") from self.error
        self.writer.write(data)
        self._sent_at = asyncio.get_running_loop().time()

    async def request(self, name: str, /, **fields) -> SimpleNamespace:
        """Sends a request and returns its answer; raises BrokerError if it was refused."""
        return await self.answer(self.send(name, **fields))

    async def answer(self, request_id: int) -> SimpleNamespace:
        future = asyncio.get_running_loop().create_future()
        self._answers[request_id] = future
        try:
            return await future
        finally:
            self._answers.pop(request_id, None)

    async def goodbye(self) -> None:
        """Leaves: what is held is released and counts as no attempt."""
        await self.request("goodbye")
        await self.closed.wait()

    def abort(self) -> None:
        """Cuts the connection: the broker sees it as lost."""
        self.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        self._end()

    def stop_heartbeat(self) -> None:
        """Sends nothing by itself any more, but still answers."""
        self._tasks.pop().cancel()

    async def _read(self) -> None:
        try:
            while True:
                head = await self.reader.readexactly(protocol.HEADER_BYTES)
                header = protocol.decode_header(head)
                if header.body_bytes > FRAME_BYTES_MAX:
                    raise protocol.ProtocolError(f"a frame of {header.body_bytes} bytes")
                body = await self.reader.readexactly(header.body_bytes)
                self._heard_at = asyncio.get_running_loop().time()
                message = protocol.decode_body(header.name, body)
                self._received(header.name, header.request_id, message)
        except (asyncio.IncompleteReadError, OSError):
            pass
        except protocol.ProtocolError as error:
            self.error = error
        finally:
            self.writer.close()
            self._end()

    def _received(self, name: str, request_id: int, message: SimpleNamespace) -> None:
        if name == "ping":
            return self.send("pong", request_id)
        error = BrokerError(message.code, message.text) if name == "error" else None
        if error and (request_id == 0 or error.closes):
            self.error = error
        future = self._answers.pop(request_id, None)
        if future is None or future.done():
            self.on_push(name, request_id, message)
        elif error:
            future.set_exception(error)
        else:
            future.set_result(message)

    def _end(self) -> None:
        self.closed.set()
        for future in self._answers.values():
            if not future.done():
                lost = ConnectionLost("the connection was lost before the answer")
                lost.__cause__ = self.error
                future.set_exception(lost)

    async def _heartbeat(self) -> None:
        interval, dead_after = self.terms.heartbeat_ms / 2000, self.terms.dead_after_ms / 1000
        while not self.closed.is_set():
            await asyncio.sleep(interval)
            now = asyncio.get_running_loop().time()
            if now - self._heard_at > dead_after:
                return self.abort()
            if now - self._sent_at >= interval and not self.closed.is_set():
                self.send("ping")
