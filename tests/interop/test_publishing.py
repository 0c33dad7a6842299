"""The Python client against the real brokerd: publishing, times to live, ids, durability."""

import time
import unittest

from brokerd_client import Client, Published
from brokerd_protocol import DURABILITY, FEATURES, ON_EXPIRY, OUTCOMES, SECOND, STATES, BrokerError
from brokerd_protocol import Message, encode_batch, encode_record
from interop_case import LATER_QUEUE_SETTINGS, LATER_TOPIC_SETTINGS, TOPIC_SETTINGS, InteropCase


class Publishing(InteropCase):
    async def test_publish_consume_ack(self):
        client = await self.connect()
        await self.create(client)
        sent = [
            Message(b'{"id":42}', key=b"42", headers=[("type", "order"), ("lang", "fi")]),
            Message(b"", ttl_ms=60_000, priority=7, message_id=b"m-2"),
            Message(bytes(range(256))),
        ]
        before = time.time() * SECOND
        # One by one: a message with an id is alone in its batch.
        answers = [await client.publish(self.topic, each) for each in sent]
        self.assertEqual(answers, [Published(i, level=1, duplicate=False) for i in range(3)])
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in sent]
        self.assertEqual([delivery.message for delivery in received], sent)
        self.assertEqual([delivery.offset for delivery in received], [0, 1, 2])
        self.assertEqual({delivery.attempt for delivery in received}, {1})
        self.assertLess(abs(received[0].append_time - before), 60 * SECOND)
        settled = await consumer.confirm("ack", *received)
        self.assertEqual((settled.accepted, settled.refused, settled.gone), (3, 0, []))
        self.assertEqual(await self.counts(client), {"done": 3})

    async def test_unconfirmed_acks_are_counted(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, *map(str, range(1000)))
        consumer = await client.consume(self.queue, prefetch_messages=100)
        for i in range(1000):
            delivery = await consumer.get()
            self.assertEqual(delivery.message.payload, str(i).encode())
            consumer.ack(delivery)
        consumer.flush()
        # Requests of one connection are handled in order: the acks come before the question.
        self.assertEqual(await self.counts(client), {"done": 1000})

    async def test_publishes_of_a_connection_keep_their_order(self):
        client = await self.connect()
        await self.create(client)
        answers = [client.publish(self.topic, Message(str(i).encode())) for i in range(500)]
        self.assertEqual([(await answer).offset for answer in answers], list(range(500)))
        _, messages = await client.read(self.topic, 0, limit=1000)
        self.assertEqual([int(message.payload) for _, message in messages], list(range(500)))

    async def test_publishing_beyond_the_credit_waits(self):
        client = await self.connect()
        await self.create(client)
        terms = client.connection.terms
        records = [encode_record(Message())] * terms.batch_records_max
        batches = 2 * terms.credit_messages // len(records) + 1
        answers = [client.publish_records(self.topic, records) for _ in range(batches)]
        self.assertGreater(client.credit_waits, 0)
        offsets = [(await answer).offset for answer in answers]
        self.assertEqual(offsets, [i * len(records) for i in range(batches)])
        self.assertEqual(client.credit_messages, terms.credit_messages)
        self.assertEqual(client.credit_bytes, terms.credit_bytes)

    async def test_a_refused_publish_gives_its_credit_back(self):
        client = await self.connect()
        terms = client.connection.terms
        record = encode_record(Message(bytes(1000)))
        size = 1000
        for _ in range(terms.credit_messages // size + 1):
            with self.assertRaises(BrokerError):
                await client.publish_records("missing", [record] * size)

    # Promise: delivery.fan_out
    async def test_every_queue_gets_every_message(self):
        client = await self.connect()
        await self.create(client)
        self.queue = self.topic + "/second"
        await self.create(client)
        await self.publish(client, "a")
        for name in ("work", "second"):
            consumer = await client.consume(f"{self.topic}/{name}")
            self.assertEqual((await consumer.get()).message.payload, b"a")

    async def test_creating_again_changes_nothing_and_says_what_differs(self):
        client = await self.connect()
        await self.create(client)
        settings = vars((await self.queue_item(client)).settings)
        same = await client.create_queue(self.queue, settings)
        self.assertEqual((same.created, same.topic_created, same.differing), (False, False, []))
        other = await client.create_queue(self.queue, settings | {"attempts": 3})
        self.assertEqual(len(other.differing), 1)
        self.assertIn("attempts", other.differing[0])
        self.assertEqual(vars(other.settings), settings)


class TimesToLive(InteropCase):
    MS, HOUR_MS = SECOND // 1000, 3_600_000

    async def set_ttl(self, client: Client, ttl: int) -> None:
        settings = TOPIC_SETTINGS | {"ttl": ttl}
        await client.request("topic_set", topic=self.topic, settings=settings)

    async def test_an_expired_message_is_not_delivered_but_read(self):
        client = await self.connect()
        await client.create_topic(self.topic, TOPIC_SETTINGS | {"keep_done": 3600 * SECOND})
        await self.create(client)
        sent = [Message(b"late", ttl_ms=1), Message(b"too late", ttl_ms=0)]
        await client.publish(self.topic, *sent)
        await self.until(client, done=2)
        await client.publish(self.topic, Message(b"in time", ttl_ms=self.HOUR_MS))
        consumer = await client.consume(self.queue)
        delivery = await consumer.get()
        self.assertEqual((delivery.offset, delivery.message.payload), (2, b"in time"))
        _, messages = await client.read(self.topic, 0)
        self.assertEqual(messages[:2], list(enumerate(sent)))

    async def test_a_queue_may_keep_the_expired_as_dead(self):
        client = await self.connect()
        await self.create(client, **LATER_QUEUE_SETTINGS | {"on_expiry": ON_EXPIRY["dead"]})
        await client.publish(self.topic, Message(b"late", ttl_ms=1))
        await self.until(client, dead=1)
        dead = await client.request("dead_list", queue=self.queue, **{"from": 0, "limit": 10})
        self.assertEqual([(d.offset, d.reason) for d in dead.items], [(0, "ttl expired")])
        state = await self.state(client)
        self.assertEqual(STATES[state.state], "dead")
        self.assertEqual(OUTCOMES[state.history[-1].outcome], "ttl expired")
        # Redriven, it does not expire any more.
        fields = {"queue": self.queue, "from": 0, "until": 1, "dry_run": False}
        self.assertEqual((await client.request("dead_redrive", **fields)).messages, 1)
        consumer = await client.consume(self.queue)
        delivery = await consumer.get()
        self.assertEqual(delivery.message, Message(b"late", ttl_ms=1))
        self.assertEqual((await consumer.confirm("ack", delivery)).accepted, 1)

    async def test_the_topic_has_one_for_messages_without(self):
        client = await self.connect()
        await client.create_topic(self.topic, TOPIC_SETTINGS | {"ttl": self.MS})
        await self.create(client)
        await client.publish(self.topic, Message(b"a"), Message(b"b", ttl_ms=self.HOUR_MS))
        await self.until(client, done=1, ready=1)
        consumer = await client.consume(self.queue)
        self.assertEqual((await consumer.get()).message.payload, b"b")
        self.assertEqual((await self.topic_item(client)).settings.ttl, self.MS)

    async def test_a_changed_one_is_that_of_stored_messages_but_not_of_leased_ones(self):
        client = await self.connect()
        await self.create(client)
        await self.publish(client, "one", "two")
        consumer = await client.consume(self.queue, prefetch_messages=1)
        first = await consumer.get()
        self.assertEqual(await self.counts(client), {"leased": 1, "ready": 1})
        await self.set_ttl(client, self.MS)
        await self.until(client, leased=1, done=1)
        consumer.settle("release", first)
        await self.until(client, done=2)


class MessageIds(InteropCase):
    ONE = Message(b"one", message_id=b"order-1")

    async def offsets(self, client: Client, *messages: Message) -> list[tuple[int, bool]]:
        """Where each is stored, and whether it was before."""
        answers = [await client.publish(self.topic, each) for each in messages]
        return [(answer.offset, answer.duplicate) for answer in answers]

    async def test_a_broker_that_looks_at_them_says_so(self):
        connection = await self.raw(features_offered=FEATURES["message_ids"])
        self.assertEqual(connection.terms.features, FEATURES["message_ids"])

    async def test_the_same_id_is_stored_once_whoever_sends_it_and_whatever(self):
        client, other = await self.connect(), await self.connect()
        await self.create(client)
        stored = await self.offsets(client, Message(b"none"), self.ONE)
        self.assertEqual(stored, [(0, False), (1, False)])
        again = Message(b"another payload", message_id=self.ONE.message_id)
        two = Message(b"two", message_id=b"order-2")
        self.assertEqual(await self.offsets(other, again, two), [(1, True), (2, False)])
        _, messages = await client.read(self.topic, 0)
        self.assertEqual([m.payload for _, m in messages], [b"none", b"one", b"two"])
        self.assertEqual(messages[1][1].message_id, b"order-1")

    async def test_each_topic_has_its_own(self):
        client = await self.connect()
        await self.create(client)
        self.assertEqual(await self.offsets(client, self.ONE), [(0, False)])
        self.topic += "-other"
        await client.create_topic(self.topic, TOPIC_SETTINGS)
        self.assertEqual(await self.offsets(client, self.ONE, self.ONE), [(0, False), (0, True)])

    async def test_without_a_window_they_are_not_looked_at(self):
        client = await self.connect()
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"message_id_window": 0}
        await client.create_topic(self.topic, settings)
        self.assertEqual(await self.offsets(client, self.ONE, self.ONE), [(0, False), (1, False)])
        self.assertEqual(vars((await self.topic_item(client)).settings), settings)

    async def test_in_a_transaction_the_rest_is_done(self):
        client = await self.connect()
        await self.create(client)
        await self.offsets(client, self.ONE)
        plain = Message(b"plain")
        parts = [
            dict(
                topic=self.topic,
                scheduled=False,
                due=0,
                delay=0,
                batch=encode_batch([encode_record(each)]),
            )
            for each in (plain, self.ONE, plain)
        ]
        fields = dict(producer=9, first_sequence=1, publishes=parts, settles=[])
        connection = await self.raw(features_offered=FEATURES["transactions"])
        done = await connection.request("transact", **fields)
        self.assertEqual([each.base_offset for each in done.publishes], [1, 0, 2])
        self.assertEqual((await self.topic_item(client)).next_offset, 3)


class Durability(InteropCase):
    async def test_a_topic_may_be_safe_with_the_operating_system(self):
        client = await self.connect()
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"durability": DURABILITY["os"]}
        await client.create_topic(self.topic, settings)
        await self.create(client)
        answers = [client.publish(self.topic, Message(b"x")) for _ in range(100)]
        level = DURABILITY["os"]
        expected = [Published(i, level, duplicate=False) for i in range(100)]
        self.assertEqual([await each for each in answers], expected)
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in answers]
        self.assertEqual([each.offset for each in received], list(range(100)))
        self.assertEqual((await self.topic_item(client)).settings.durability, level)

    async def test_it_may_be_changed(self):
        client = await self.connect()
        await self.create(client)
        for name in ("os", "disk"):
            settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"durability": DURABILITY[name]}
            await client.request("topic_set", topic=self.topic, settings=settings)
            answer = await client.publish(self.topic, Message(b"x"))
            self.assertEqual(answer.level, DURABILITY[name])


if __name__ == "__main__":
    unittest.main()
