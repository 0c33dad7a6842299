"""The base of the interoperability tests: a broker per class, names and a deadline per test."""

import asyncio
import functools
import unittest

import brokerd_protocol as protocol
from broker_process import Broker
from brokerd_client import Client, Consumer, Delivery
from brokerd_connection import Connection
from brokerd_protocol import SECOND, Message

DEADLINE_S = 30
TOPIC_SETTINGS = dict(keep_done=0, max_message_bytes=1 << 20)
# Those that may be missing, as they are then.
LATER_TOPIC_SETTINGS = dict(
    ttl=0,
    durability=1,
    message_id_window=24 * 3600 * SECOND,
    keep_done_bytes=0,
    max_bytes=0,
    max_messages=0,
    when_full=1,
    max_age=0,
    priorities=1,
)
QUEUE_SETTINGS = dict(
    lease=30 * SECOND,
    attempts=16,
    backoff=SECOND,
    backoff_max=600 * SECOND,
    max_retrying=100_000,
    max_runs=100_000,
)
# Those that may be missing, as they are then; all of them, to set the last.
LATER_QUEUE_SETTINGS = dict(
    jitter_percent=20,
    after_failure=1,
    expires=0,
    on_expiry=1,
    filter="",
    until=0,
)


def _with_deadline(test):
    @functools.wraps(test)
    async def bounded(self):
        async with asyncio.timeout(DEADLINE_S):
            await test(self)

    return bounded


class InteropCase(unittest.IsolatedAsyncioTestCase):
    broker: Broker

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            if name.startswith("test_"):
                setattr(cls, name, _with_deadline(member))

    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()

    def setUp(self):
        self.topic = self.id().rpartition(".")[2]
        self.queue = self.topic + "/work"
        self.broker.check()
        self.addCleanup(self.broker.check)

    async def asyncSetUp(self):
        # The debug mode of the test case's loop reports each slow step of a busy machine.
        asyncio.get_running_loop().set_debug(False)

    def client(self, port: int = 0) -> Client:
        return Client(self.broker.host, port or self.broker.port)

    async def connect(self, port: int = 0) -> Client:
        """A client that says goodbye when the test is over."""
        return await self.enterAsyncContext(self.client(port))

    async def raw(self, **options) -> Connection:
        """A connection without the client's care, for one that breaks the rules."""
        connection = await Connection.open(self.broker.host, self.broker.port, **options)
        self.addCleanup(connection.abort)
        return connection

    async def topic_item(self, client: Client):
        topics = await client.request("topic_list", topic=self.topic, after="", limit=10)
        return topics.items[0]

    async def queue_item(self, client: Client):
        fields = dict(topic="", queue=self.queue, after="", limit=10)
        return (await client.request("queue_list", **fields)).items[0]

    async def counts(self, client: Client) -> dict[str, int]:
        """How many messages of the queue are in each state, without the zeros."""
        item = await self.queue_item(client)
        counts = {name: getattr(item, name) for name in protocol.STATES.values()}
        return {name: count for name, count in counts.items() if count}

    async def until(self, client: Client, **counts: int) -> None:
        """Asks until the queue's counts are these."""
        while await self.counts(client) != counts:
            pass

    async def stored(self, client: Client, messages: int) -> None:
        """Reads until the topic has so many messages on the disk, which a count may be ahead of."""
        while not (await client.read(self.topic, messages - 1, limit=1))[1]:
            pass

    async def state(self, client: Client, offset: int = 0):
        shown = await client.request("message_show", topic=self.topic, offset=offset)
        return shown.queues[0]

    async def create(self, client: Client, **settings) -> None:
        await client.create_topic(self.topic, TOPIC_SETTINGS)
        await client.create_queue(self.queue, QUEUE_SETTINGS | settings)

    async def publish(self, client: Client, *payloads: str) -> None:
        await client.publish(self.topic, *(Message(payload.encode()) for payload in payloads))

    async def one(self, client: Client, **settings) -> tuple[Consumer, Delivery]:
        """A queue with one message, delivered to a consumer that does not renew its lease."""
        await self.create(client, **settings)
        await self.publish(client, "one")
        consumer = await client.consume(self.queue, renew=False)
        return consumer, await consumer.get()
