"""A small asyncio client of brokerd, Python standard library only.

Written from protocol/PROTOCOL.md alone, to prove that it suffices. A Client survives its
connections: it reconnects, sends unanswered publishes again and takes up its consumers with what
they hold. Everything runs on the event loop it was created on.
"""

import asyncio
import contextlib
import random
from collections import deque
from dataclasses import dataclass
from types import SimpleNamespace

import brokerd_protocol as protocol
from brokerd_connection import Connection, ConnectionLost
from brokerd_protocol import ACTIONS, DEFAULT_DELAY, POSITIONS, BrokerError, Lease, Message

ACK_FLUSH_S = 0.005
REFUSED_MAX = 1000
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.1, 5.0


@dataclass
class Published:
    offset: int
    level: int
    duplicate: bool


@dataclass(eq=False)
class PendingPublish:
    topic: str
    batch: bytes
    count: int
    answer: asyncio.Future


@dataclass(frozen=True)
class Delivery:
    offset: int
    lease: Lease
    attempt: int
    append_time: int
    record: bytes

    @property
    def message(self) -> Message:
        return protocol.decode_record(self.record)

    @property
    def key(self) -> tuple[int, Lease]:
        return self.offset, self.lease


class Consumer:
    """One attachment to a queue, taken up again after each reconnect with what it holds."""

    def __init__(self, client: "Client", number: int, queue: str, renew: bool, **limits: int):
        self.client, self.number, self.queue, self.limits = client, number, queue, limits
        self.held: dict[tuple[int, Lease], Delivery] = {}
        self.attached = SimpleNamespace()
        self._renew = renew
        self._inbox: asyncio.Queue[Delivery | Exception] = asyncio.Queue()
        self._acks: list[Delivery] = []
        self._timer: asyncio.TimerHandle | None = None

    async def get(self) -> Delivery:
        """The next message whose lease is still held."""
        while True:
            item = await self._inbox.get()
            if isinstance(item, Exception):
                self._inbox.put_nowait(item)
                raise item
            if item.key in self.held:
                return item

    def ack(self, *deliveries: Delivery) -> None:
        """Acks a little later, together with others, without an answer."""
        self._acks.extend(deliveries)
        if 2 * len(self._acks) >= self.limits["prefetch_messages"]:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_FLUSH_S, self.flush)

    def flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._acks and self.client.connection:
            acks, self._acks = self._acks, []
            self.settle("ack", *acks)

    def settle(self, action: str, *deliveries: Delivery, delay=DEFAULT_DELAY, reason="") -> int:
        """Settles without an answer; a refusal comes to client.refused under this request id."""
        if not self.client.connection:
            raise ConnectionLost("no connection")
        fields = self._settle_fields(action, deliveries, delay, reason)
        self._forget(action, deliveries)
        return self.client.connection.send("settle", confirm=False, **fields)

    async def confirm(
        self, action: str, *deliveries: Delivery, delay=DEFAULT_DELAY, reason=""
    ) -> SimpleNamespace:
        """Settles and returns `settled` once that is durable; sent again after a reconnect."""
        fields = self._settle_fields(action, deliveries, delay, reason)
        fields |= self.client.next_settle(fields["queue"])
        settled = await self.client.request("settle", resend=True, confirm=True, **fields)
        self._forget(action, deliveries)
        return settled

    async def detach(self) -> None:
        self.flush()
        await self.client.request("detach", consumer=self.number)
        self.end(ConnectionLost("the consumer is detached"))

    def end(self, error: Exception) -> None:
        self.client.consumers.pop(self.number, None)
        if self._timer:
            self._timer.cancel()
        self._inbox.put_nowait(error)

    async def attach(self, connection: Connection) -> None:
        held = protocol.join_runs(self.held)
        self.attached = await connection.request(
            "attach", queue=self.queue, consumer=self.number, held=held, **self.limits
        )
        for run in self.attached.gone:
            for key in protocol.each_lease(run):
                self.held.pop(key, None)
        if self._renew:
            asyncio.get_running_loop().call_later(self._third(), self._extend, connection)

    def deliver(self, runs: list[SimpleNamespace]) -> None:
        for run in runs:
            records = list(protocol.split_records(run.records))
            for key, record in zip(protocol.each_lease(run.leases), records, strict=True):
                delivery = Delivery(*key, run.attempt, run.append_time, record)
                self.held[key] = delivery
                self._inbox.put_nowait(delivery)

    def _third(self) -> float:
        return self.attached.lease / protocol.SECOND / 3

    def _extend(self, connection: Connection) -> None:
        if connection is not self.client.connection or self.number not in self.client.consumers:
            return
        if self.held:
            self.settle("extend", *self.held.values())
        asyncio.get_running_loop().call_later(self._third(), self._extend, connection)

    def _settle_fields(self, action, deliveries, delay, reason) -> dict:
        return dict(
            queue=self.attached.queue,
            action=ACTIONS[action],
            delay=delay,
            reason=reason,
            producer=0,
            sequence=0,
            runs=protocol.join_runs(delivery.key for delivery in deliveries),
        )

    def _forget(self, action: str, deliveries: tuple[Delivery, ...]) -> None:
        if action != "extend":
            for delivery in deliveries:
                self.held.pop(delivery.key, None)


class Client:
    """A client that reconnects by itself. Use it as `async with Client(host, port) as client`."""

    def __init__(self, host: str, port: int, name: str = "", producer: int | None = None):
        self.address, self.name = (host, port), name
        self.producer = producer or random.getrandbits(64) or 1
        self.consumers: dict[int, Consumer] = {}
        self.refused: asyncio.Queue[tuple[int, BrokerError]] = asyncio.Queue(REFUSED_MAX)
        self.connects = self.credit_waits = 0
        self.credit_messages = self.credit_bytes = 0
        self._publish_sequences: dict[str, int] = {}  # the next one of each topic
        self._settle_sequences: dict[int, int] = {}  # the next one of each queue
        self._waiting: deque[PendingPublish] = deque()
        self._unanswered: dict[int, PendingPublish] = {}  # by request id, in the order sent
        self._connected = asyncio.Event()
        self._failure: Exception | None = None
        self._draining = False
        self._opened: Connection | None = None  # the newest one
        self._current: Connection | None = None  # the one that is taken up
        self._task: asyncio.Task | None = None

    @property
    def connection(self) -> Connection | None:
        """The one that requests may be sent over now."""
        return self._current if self._current and not self._current.closed.is_set() else None

    async def __aenter__(self) -> "Client":
        self._task = asyncio.create_task(self._run())
        try:
            await self._ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, kind, value, trace) -> None:
        """Says goodbye, unless the connection is lost already."""
        if self.connection:
            for consumer in list(self.consumers.values()):
                consumer.flush()
            with contextlib.suppress(ConnectionLost, BrokerError):
                await self.connection.goodbye()
        await self._stop()

    async def request(self, name: str, /, resend: bool = False, **fields) -> SimpleNamespace:
        """With `resend`, asks again over the next connection when the outcome is unknown."""
        while True:
            connection = await self._ready()
            try:
                return await connection.request(name, **fields)
            except ConnectionLost:
                if not resend:
                    raise
                await connection.closed.wait()
                self._lost(connection)

    # --- publishing

    def publish(self, topic: str, *messages: Message) -> "asyncio.Future[Published]":
        """Publishes a batch; await the result, or publish more first."""
        return self.publish_records(topic, [protocol.encode_record(each) for each in messages])

    def publish_records(self, topic: str, records: list[bytes]) -> "asyncio.Future[Published]":
        sequence = self._publish_sequences.get(topic, 1)
        self._publish_sequences[topic] = sequence + len(records)
        batch = protocol.encode_batch(records, self.producer, sequence)
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(PendingPublish(topic, batch, len(records), answer))
        self._send_publishes()
        return answer

    def _send_publishes(self) -> None:
        while self._waiting and self.connection and not self._draining:
            publish = self._waiting[0]
            fits = publish.count <= self.credit_messages and (
                len(publish.batch) <= self.credit_bytes
            )
            if not fits and self._unanswered:
                self.credit_waits += 1
                return
            self._waiting.popleft()
            if not fits and publish.count > 1:
                publish.answer.set_exception(ValueError("the batch is larger than the credit"))
                continue
            number = self.connection.send("publish", topic=publish.topic, batch=publish.batch)
            self._unanswered[number] = publish
            self.credit_messages -= publish.count
            self.credit_bytes -= len(publish.batch)

    def _give_credit(self, messages: int, size: int) -> None:
        self.credit_messages += messages
        self.credit_bytes += size
        self._send_publishes()

    # --- the rest of what an application asks for

    async def create_topic(self, topic: str, settings: dict) -> SimpleNamespace:
        return await self.request("topic_create", resend=True, topic=topic, settings=settings)

    async def create_queue(self, queue: str, settings: dict) -> SimpleNamespace:
        start = dict(kind=POSITIONS["earliest"], offset=0, time=0)
        fields = dict(queue=queue, mode=1, settings=settings, start=start, create_topic=True)
        return await self.request("queue_create", resend=True, **fields)

    async def consume(
        self,
        queue: str,
        prefetch_messages: int = 256,
        prefetch_bytes: int = 8 << 20,
        renew: bool = True,
    ) -> Consumer:
        connection = await self._ready()
        number = next(n for n in range(1, 1 << 32) if n not in self.consumers)
        limits = dict(prefetch_messages=prefetch_messages, prefetch_bytes=prefetch_bytes, limit=0)
        consumer = self.consumers[number] = Consumer(self, number, queue, renew, **limits)
        try:
            await consumer.attach(connection)
        except BaseException:
            del self.consumers[number]
            raise
        return consumer

    async def read(
        self,
        topic: str,
        offset: int,
        limit: int = 100,
        size: int = 1 << 20,
        wait: int = 0,
        incarnation: int = 0,
    ) -> tuple[SimpleNamespace, list[tuple[int, Message]]]:
        """The answer and the (offset, message) pairs from an offset on, without leasing them.

        To go on behind an answer, give its incarnation and position."""
        start = {"kind": POSITIONS["offset"], "offset": offset, "time": 0}
        fields = {"topic": topic, "from": start, "messages_max": limit, "bytes_max": size}
        answer = await self.request(
            "read", resend=True, wait=wait, incarnation=incarnation, **fields
        )
        messages = []
        for run in answer.runs:
            for i, record in enumerate(protocol.split_records(run.records)):
                messages.append((run.first_offset + i, protocol.decode_record(record)))
        return answer, messages

    def next_settle(self, queue: int) -> dict:
        sequence = self._settle_sequences.get(queue, 1)
        self._settle_sequences[queue] = sequence + 1
        return dict(producer=self.producer, sequence=sequence)

    # --- the connection's life

    async def _ready(self) -> Connection:
        await self._connected.wait()
        if self._failure:
            raise self._failure
        return self._current

    async def _run(self) -> None:
        delay = BACKOFF_FIRST_S
        while True:
            try:
                self._opened = await Connection.open(*self.address, self.name, self._pushed)
                await self._resume(self._opened)
                delay = BACKOFF_FIRST_S
                await self._opened.closed.wait()
                self._lost(self._opened)
                continue
            except (OSError, TimeoutError, ConnectionLost):
                pass
            except (BrokerError, protocol.ProtocolError) as error:
                if not getattr(error, "retry_can_help", False):
                    return self._fail(error)
            await asyncio.sleep(delay * random.uniform(0.5, 1))
            delay = min(2 * delay, BACKOFF_MAX_S)

    async def _resume(self, connection: Connection) -> None:
        """Takes up over a new connection what the last one left: consumers, then publishes."""
        self._draining = False
        for consumer in list(self.consumers.values()):
            try:
                await consumer.attach(connection)
            except BrokerError as error:
                consumer.end(error)
        self.credit_messages = connection.terms.credit_messages
        self.credit_bytes = connection.terms.credit_bytes
        self._waiting.extendleft(reversed(self._unanswered.values()))
        self._unanswered.clear()
        if connection.closed.is_set():
            raise ConnectionLost("the connection was lost while it was taken up")
        self._current = connection
        self.connects += 1
        self._connected.set()
        self._send_publishes()
        for consumer in self.consumers.values():
            consumer.flush()

    def _lost(self, connection: Connection) -> None:
        if self._current is connection:
            self._current = None
            self._connected.clear()

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._connected.set()
        for publish in [*self._unanswered.values(), *self._waiting]:
            publish.answer.set_exception(error)
        for consumer in list(self.consumers.values()):
            consumer.end(error)

    async def _stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._opened:
            self._opened.abort()
        for publish in [*self._unanswered.values(), *self._waiting]:
            publish.answer.cancel()

    def _pushed(self, name: str, request_id: int, message: SimpleNamespace) -> None:
        if name == "published":
            for item in message.items:
                publish = self._unanswered.pop(item.request)
                if not publish.answer.done():
                    answer = Published(item.base_offset, item.level, item.duplicate)
                    publish.answer.set_result(answer)
            self._give_credit(message.credit_messages, message.credit_bytes)
        elif name == "credit":
            self._give_credit(message.messages, message.bytes)
        elif name == "deliver" and message.consumer in self.consumers:
            self.consumers[message.consumer].deliver(message.runs)
        elif name == "detached" and message.consumer in self.consumers:
            self.consumers[message.consumer].end(BrokerError(message.code, message.text))
        elif name == "draining":
            self._draining = True
        elif name == "error":
            self._refused(request_id, BrokerError(message.code, message.text))

    def _refused(self, request_id: int, error: BrokerError) -> None:
        if request_id not in self._unanswered:
            if request_id and not self.refused.full():
                self.refused.put_nowait((request_id, error))
        elif not (error.closes and error.retry_can_help):  # those are sent again
            publish = self._unanswered.pop(request_id)
            if not publish.answer.done():
                publish.answer.set_exception(error)
