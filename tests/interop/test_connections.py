"""The Python client against the real brokerd: connections that are lost, brokers that stop."""

import asyncio
import unittest

from broker_process import Broker, Proxy
from brokerd_client import Published
from brokerd_connection import Connection, ConnectionLost
from brokerd_protocol import ACTIONS, DEFAULT_DELAY, DURABILITY, OUTCOMES, SECOND, LeaseRun
from brokerd_protocol import Message
from interop_case import LATER_TOPIC_SETTINGS, TOPIC_SETTINGS, InteropCase


class LostConnections(InteropCase):
    async def test_a_lost_connection_is_an_attempt(self):
        client, doomed = await self.connect(), await self.raw()
        await self.create(client, backoff=SECOND // 100)
        await self.publish(client, "x")
        await self.attach(doomed)
        doomed.abort()
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).attempt, 2)
        (attempt,) = (await self.state(client)).history
        self.assertEqual(OUTCOMES[attempt.outcome], "lost")

    async def attach(self, connection: Connection):
        """Attaches a consumer and returns the answer and the first delivered run of leases."""
        pushed = asyncio.Queue()
        connection.on_push = lambda name, number, message: pushed.put_nowait(message)
        fields = dict(prefetch_messages=10, prefetch_bytes=1 << 20, limit=0, held=[])
        attached = await connection.request("attach", queue=self.queue, consumer=1, **fields)
        return attached, (await pushed.get()).runs[0].leases

    # Promise: delivery.late_answer
    async def test_a_late_ack_over_another_connection_holds(self):
        client, doomed = await self.connect(), await self.raw()
        await self.create(client, backoff=60 * SECOND)
        await self.publish(client, "x")
        attached, leases = await self.attach(doomed)
        doomed.abort()
        await self.until(client, retrying=1)
        settled = await self.settle_now(client, attached.queue, leases)
        self.assertEqual((settled.accepted, settled.refused), (1, 0))
        self.assertEqual(await self.counts(client), {"done": 1})

    async def settle_now(self, client, queue: int, leases: LeaseRun):
        fields = dict(action=ACTIONS["ack"], confirm=True, delay=DEFAULT_DELAY, reason="")
        fields |= dict(queue=queue, producer=0, sequence=0, runs=[leases])
        return await client.request("settle", **fields)

    async def test_what_is_held_is_taken_up_again(self):
        admin = await self.connect()
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            await self.create(client, backoff=60 * SECOND)
            await self.publish(client, "a", "b", "c")
            consumer = await client.consume(self.queue)
            held = [await consumer.get() for _ in range(3)]
            proxy.cut()
            await client.connection.closed.wait()
            gone = LeaseRun(1, 1, *held[1].lease)
            await self.settle_now(admin, consumer.attached.queue, gone)
            settled = await consumer.confirm("ack", held[0], held[2])
            self.assertEqual(client.connects, 2)
            self.assertEqual(settled.accepted, 2)
            self.assertEqual(consumer.attached.gone, [gone])
            self.assertEqual(await self.counts(admin), {"done": 3})

    async def test_unanswered_publishes_are_sent_again_and_stored_once(self):
        witness = await self.connect()
        await self.create(witness)
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            proxy.lose_answers = True
            answers = [client.publish(self.topic, Message(str(i).encode())) for i in range(3)]
            await self.stored(witness, 3)
            proxy.lose_answers = False
            proxy.cut()
            self.assertEqual(
                [await answer for answer in answers], [Published(i, 1, True) for i in range(3)]
            )
            await client.publish(self.topic, Message(b"3"))
        _, messages = await witness.read(self.topic, 0)
        self.assertEqual([m.payload for _, m in messages], [b"0", b"1", b"2", b"3"])

    # Promise: dedup.outcome
    async def test_a_confirmed_settle_is_sent_again_and_counted_once(self):
        witness = await self.connect()
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            consumer, delivery = await self.one(client)
            proxy.lose_answers = True
            confirmed = asyncio.create_task(consumer.confirm("ack", delivery))
            await self.until(witness, done=1)
            proxy.lose_answers = False
            proxy.cut()
            settled = await confirmed
        self.assertEqual((settled.accepted, settled.refused), (1, 0))
        self.assertTrue(settled.duplicate)


class Heartbeats(InteropCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Broker()
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start("--heartbeat", "200ms", "--dead-after", "1s")

    async def test_ping_is_answered_by_pong(self):
        client = await self.connect()
        self.assertEqual(client.connection.terms.heartbeat_ms, 200)
        self.assertEqual(client.connection.terms.dead_after_ms, 1000)
        self.assertEqual(vars(await client.request("ping")), {})

    async def test_a_quiet_connection_is_pinged_before_it_is_given_up(self):
        connection = await self.raw()
        connection.stop_heartbeat()
        pinged = asyncio.Event()
        connection.send = lambda *args, **fields: pinged.set()  # would be the pong
        waits = [asyncio.create_task(e.wait()) for e in (pinged, connection.closed)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        self.assertTrue(pinged.is_set())
        await connection.closed.wait()
        self.assertEqual(connection.error.name, "idle_timeout")

    async def test_a_client_that_keeps_the_heartbeat_outlives_one_that_does_not(self):
        alive, silent = await self.raw(), await self.raw()
        silent.stop_heartbeat()
        silent.send = lambda *args, **fields: None
        await silent.closed.wait()
        self.assertFalse(alive.closed.is_set())
        await alive.request("ping")


class Restarts(InteropCase):
    def setUp(self):
        self.broker = Broker()
        self.addCleanup(self.broker.close)
        self.broker.start()
        super().setUp()

    async def test_a_killed_broker_stores_each_publish_once(self):
        witness = await self.connect()
        await self.create(witness)
        async with Proxy(self.broker) as proxy, self.client(proxy.port) as client:
            terms = client.connection.terms
            for i in range(50):
                await client.publish(self.topic, Message(str(i).encode()))
            proxy.lose_answers = True
            answers = [
                client.publish(self.topic, Message(str(i).encode())) for i in range(50, 100)
            ]
            await self.stored(witness, 75)
            self.broker.kill()
            proxy.cut()  # or what the broker said last gets through once answers do
            proxy.lose_answers = False
            self.broker.start()
            self.assertEqual([(await a).offset for a in answers], list(range(50, 100)))
            self.assertTrue((await answers[0]).duplicate)
            self.assertEqual(client.connection.terms.database_id, terms.database_id)
            self.assertEqual(client.connection.terms.epoch, terms.epoch + 1)
            _, messages = await client.read(self.topic, 0, limit=1000)
        self.assertEqual([int(m.payload) for _, m in messages], list(range(100)))

    async def test_ids_of_messages_and_what_an_os_topic_has_survive_a_kill(self):
        client = await self.connect()
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"durability": DURABILITY["os"]}
        for topic, settings in ((self.topic, TOPIC_SETTINGS), (self.topic + "-os", settings)):
            await client.create_topic(topic, settings)
            first = await client.publish(topic, Message(b"one", message_id=b"order-1"))
            self.assertEqual((first.offset, first.duplicate), (0, False))
        self.broker.kill()
        self.broker.start()
        other = await self.connect()
        for topic in (self.topic, self.topic + "-os"):
            again = await other.publish(topic, Message(b"two", message_id=b"order-1"))
            self.assertEqual((again.offset, again.duplicate), (0, True))

    async def test_leases_and_confirmed_acks_survive_a_kill(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, "a", "b", "c")
        consumer = await client.consume(self.queue, prefetch_messages=2)
        first, second = await consumer.get(), await consumer.get()
        await consumer.confirm("ack", first)
        self.broker.kill()
        self.broker.start()
        self.assertEqual((await consumer.confirm("ack", second)).accepted, 1)
        third = await consumer.get()
        while third.offset != 2:  # its first lease may be from before the restart
            third = await consumer.get()
        self.assertEqual(third.attempt, 1)
        await consumer.confirm("ack", third)
        self.assertEqual(await self.counts(client), {"done": 3})

    async def test_a_stopping_broker_drains(self):
        connection = await self.raw()
        pushed = []
        connection.on_push = lambda name, number, message: pushed.append(name)
        self.assertEqual(await asyncio.to_thread(self.broker.stop), 0)
        await connection.closed.wait()
        self.assertEqual(pushed[0], "draining")
        self.assertEqual(connection.error.name, "draining")
        with self.assertRaises(ConnectionLost):
            connection.send("ping")


if __name__ == "__main__":
    unittest.main()
