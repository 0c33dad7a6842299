"""Topics with bounds, as a client sees them: full ones that refuse, and ones that drop."""

import unittest

from brokerd_client import Client
from brokerd_protocol import FEATURES, NEVER, SECOND, WHEN_FULL, BrokerError, Message
from brokerd_protocol import encode_batch, encode_record
from interop_case import LATER_TOPIC_SETTINGS, QUEUE_SETTINGS, TOPIC_SETTINGS, InteropCase


def batch_of(*messages: Message) -> bytes:
    """As it is in a transaction: without a producer."""
    return encode_batch([encode_record(each) for each in messages])


class BoundsCase(InteropCase):
    @staticmethod
    def settings(**bounds) -> dict:
        return TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | bounds

    async def create_bounded(self, client: Client, **bounds) -> None:
        await client.create_topic(self.topic, self.settings(**bounds))
        await client.create_queue(self.queue, QUEUE_SETTINGS)

    async def refused(self, code: str, asked) -> BrokerError:
        with self.assertRaises(BrokerError) as raised:
            await asked
        self.assertEqual(raised.exception.name, code, raised.exception.text)
        self.assertIn(self.topic, raised.exception.text)
        return raised.exception

    async def transact(self, client: Client, first_sequence: int, *publishes: dict):
        at_once = dict(topic=self.topic, scheduled=False, due=0, delay=0)
        connection = await self.raw(features_offered=FEATURES["transactions"])
        return await connection.request(
            "transact",
            producer=client.producer,
            first_sequence=first_sequence,
            publishes=[at_once | each for each in publishes],
            settles=[],
        )


class Refusing(BoundsCase):
    async def test_a_full_topic_refuses_until_a_queue_is_done(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=2)
        await self.publish(client, "a", "b")
        error = await self.refused("topic_full", self.publish(client, "c"))
        self.assertEqual((error.retry_can_help, error.closes), (True, False))
        item = await self.topic_item(client)
        self.assertEqual((item.pending, item.next_offset), (2, 2))
        self.assertEqual((item.dropped, item.dropped_bytes, item.last_dropped), (0, 0, NEVER))
        consumer = await client.consume(self.queue)
        await consumer.confirm("ack", await consumer.get())
        self.assertEqual((await client.publish(self.topic, Message(b"c"))).offset, 2)
        await self.refused("topic_full", self.publish(client, "d"))
        self.assertEqual(client.connects, 1)

    async def test_what_is_larger_than_the_topic_may_hold_is_too_large(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=2, max_bytes=4096)
        await self.refused("message_too_large", self.publish(client, "a", "b", "c"))
        await self.refused("message_too_large", self.publish(client, 4096 * "x"))
        self.assertEqual((await self.topic_item(client)).pending, 0)

    async def test_bytes_are_those_of_the_batches(self):
        client = await self.connect()
        await self.create_bounded(client, max_bytes=4096)
        message = Message(bytes(2000))
        size = len(batch_of(message))
        await client.publish(self.topic, message)
        item = await self.topic_item(client)
        self.assertEqual((item.pending, item.pending_bytes, item.bytes), (1, size, size))
        await self.refused("topic_full", client.publish(self.topic, message))
        rest = Message(bytes(4096 - size - (size - 2000)))
        self.assertEqual((await client.publish(self.topic, rest)).offset, 1)
        self.assertEqual((await self.topic_item(client)).pending_bytes, 4096)

    async def test_a_topic_without_a_queue_is_full_of_all_it_has(self):
        client = await self.connect()
        await client.create_topic(self.topic, self.settings(max_messages=1))
        await self.publish(client, "a")
        await self.refused("topic_full", self.publish(client, "b"))

    async def test_the_bound_may_be_changed(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=1)
        await self.publish(client, "a")
        await self.refused("topic_full", self.publish(client, "b"))
        settings = self.settings(max_messages=2)
        await client.request("topic_set", topic=self.topic, settings=settings)
        await self.publish(client, "b")
        self.assertEqual(vars((await self.topic_item(client)).settings), settings)

    async def test_what_is_sent_again_is_answered_full_or_not(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=1)
        one = Message(b"a", message_id=b"order-1")
        await client.publish(self.topic, one)
        again = await client.publish(self.topic, one)
        self.assertEqual((again.offset, again.duplicate), (0, True))

    async def test_a_transaction_is_refused_as_a_whole(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=2)
        await self.publish(client, "a")
        part = dict(batch=batch_of(Message(b"b")))
        await self.refused("topic_full", self.transact(client, 1, part, part))
        self.assertEqual((await self.topic_item(client)).next_offset, 1)
        done = await self.transact(client, 1, part)
        self.assertEqual([each.base_offset for each in done.publishes], [1])

    async def test_what_is_due_waits_for_room(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=1)
        await self.publish(client, "a")
        part = dict(scheduled=True, delay=1, batch=batch_of(Message(b"later")))
        await self.transact(client, 1, part)
        item = await self.topic_item(client)
        self.assertEqual((item.scheduled, item.next_offset), (1, 1))
        consumer = await client.consume(self.queue)
        await consumer.confirm("ack", await consumer.get())
        self.assertEqual((await consumer.get()).message.payload, b"later")
        self.assertEqual((await self.topic_item(client)).scheduled, 0)


class Dropping(BoundsCase):
    OLDEST = {"when_full": WHEN_FULL["drop-oldest"]}

    async def trimmed(self, client: Client, first_offset: int) -> None:
        """Asks until the oldest readable message is this one."""
        while (await self.topic_item(client)).first_offset != first_offset:
            pass

    async def test_the_oldest_make_room_and_are_counted(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=3, **self.OLDEST)
        for payload in "abcde":
            await self.publish(client, payload)
        await self.until(client, ready=3, done=2)
        await self.trimmed(client, 2)
        item = await self.topic_item(client)
        self.assertEqual((item.pending, item.dropped, item.next_offset), (3, 2, 5))
        self.assertGreater(item.dropped_bytes, 0)
        self.assertNotEqual(item.last_dropped, NEVER)
        self.assertEqual((await self.queue_item(client)).dropped, 2)
        consumer = await client.consume(self.queue)
        received = [await consumer.get() for _ in "cde"]
        self.assertEqual([delivery.offset for delivery in received], [2, 3, 4])

    async def test_the_lease_of_what_is_dropped_ends(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=1, **self.OLDEST)
        await self.publish(client, "a")
        consumer = await client.consume(self.queue, renew=False)
        first = await consumer.get()
        await self.publish(client, "b")
        second = await consumer.get()
        self.assertEqual(second.offset, 1)
        settled = await consumer.confirm("ack", first, second)
        self.assertEqual((settled.accepted, settled.refused), (1, 1))
        self.assertEqual(settled.gone, [(0, 1, *first.lease)])
        self.assertEqual((await self.topic_item(client)).dropped, 1)

    async def test_what_failed_stays(self):
        client = await self.connect()
        await self.create_bounded(client, max_messages=1, **self.OLDEST)
        await self.publish(client, "a")
        consumer = await client.consume(self.queue)
        await consumer.confirm("reject", await consumer.get())
        await self.publish(client, "b")
        await self.publish(client, "c")
        self.assertEqual((await consumer.get()).offset, 1)
        self.assertEqual((await consumer.get()).offset, 2)
        await self.until(client, dead=1, leased=1, done=1)
        fields = {"queue": self.queue, "from": 0, "until": 1, "dry_run": False}
        self.assertEqual((await client.request("dead_redrive", **fields)).messages, 1)
        self.assertEqual((await consumer.get()).message, Message(b"a"))

    async def test_a_topic_without_a_queue_drops_too(self):
        client = await self.connect()
        await client.create_topic(self.topic, self.settings(max_messages=2, **self.OLDEST))
        for payload in "abc":
            await self.publish(client, payload)
        await self.trimmed(client, 1)
        self.assertEqual((await self.topic_item(client)).dropped, 1)
        await client.create_queue(self.queue, QUEUE_SETTINGS)
        self.assertEqual(await self.counts(client), {"ready": 2})

    async def test_what_is_too_old_goes_without_a_publish(self):
        client = await self.connect()
        await self.create_bounded(client, max_age=SECOND)
        await self.publish(client, "a", "b")
        await self.until(client, done=2)
        await self.trimmed(client, 2)
        self.assertEqual((await self.topic_item(client)).dropped, 2)
        self.assertEqual((await self.queue_item(client)).dropped, 2)


if __name__ == "__main__":
    unittest.main()
