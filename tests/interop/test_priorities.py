"""Priorities, as a client sees them: what goes first, what is refused, what is counted."""

import unittest

from brokerd_client import Client
from brokerd_protocol import FEATURES, BrokerError, Message, encode_batch, encode_record
from interop_case import LATER_TOPIC_SETTINGS, QUEUE_SETTINGS, TOPIC_SETTINGS, InteropCase


def ranked(payload: str, priority: int | None = None) -> Message:
    return Message(payload.encode(), priority=priority)


class Priorities(InteropCase):
    async def create_ranked(self, client: Client, priorities: int, mode: int = 1) -> None:
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {"priorities": priorities}
        await client.create_topic(self.topic, settings)
        start = dict(kind=1, offset=0, time=0)
        fields = dict(mode=mode, settings=QUEUE_SETTINGS, start=start, create_topic=False)
        await client.request("queue_create", queue=self.queue, **fields)

    async def taken(self, client: Client, count: int) -> list[bytes]:
        """The payloads of the next messages, one at a time."""
        consumer = await client.consume(self.queue, prefetch_messages=1)
        payloads = []
        for _ in range(count):
            delivery = await consumer.get()
            payloads.append(delivery.message.payload)
            await consumer.confirm("ack", delivery)
        return payloads

    async def refused(self, code: str, asked) -> None:
        with self.assertRaises(BrokerError) as raised:
            await asked
        self.assertEqual(raised.exception.name, code, raised.exception.text)

    # Promise: priority.first
    async def test_the_highest_level_goes_first(self):
        client = await self.connect()
        await self.create_ranked(client, 2)
        for message in (ranked("a"), ranked("b", 1), ranked("c", 0), ranked("d", 9)):
            await client.publish(self.topic, message)
        self.assertEqual(await self.taken(client, 4), [b"b", b"d", b"a", b"c"])

    async def test_keyed_queues_keep_the_order_of_the_topic(self):
        client = await self.connect()
        await self.create_ranked(client, 2, mode=2)
        for message in (ranked("a"), ranked("b", 1), ranked("c")):
            await client.publish(self.topic, message)
        self.assertEqual(await self.taken(client, 3), [b"a", b"b", b"c"])

    async def test_a_batch_has_one_level(self):
        client = await self.connect()
        await self.create_ranked(client, 2)
        mixed = (ranked("a"), ranked("b", 1))
        await self.refused("invalid_argument", client.publish(self.topic, *mixed))
        connection = await self.raw(features_offered=FEATURES["transactions"])
        batch = encode_batch([encode_record(each) for each in mixed])
        publish = dict(topic=self.topic, scheduled=False, due=0, delay=0, batch=batch)
        transact = dict(producer=7, first_sequence=1, publishes=[publish], settles=[])
        await self.refused("invalid_argument", connection.request("transact", **transact))
        self.assertEqual((await self.topic_item(client)).next_offset, 0)
        # Two priorities, and one level.
        await client.publish(self.topic, ranked("c", 3), ranked("d", 1))

    async def test_a_topic_of_one_level_takes_them_all(self):
        client = await self.connect()
        await self.create_ranked(client, 0)
        self.assertEqual((await self.topic_item(client)).settings.priorities, 1)
        await client.publish(self.topic, ranked("a"), ranked("b", 9))
        self.assertEqual(await self.taken(client, 2), [b"a", b"b"])

    async def test_levels_are_fixed(self):
        client = await self.connect()
        await self.create_ranked(client, 3)
        settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS
        changed = dict(topic=self.topic, settings=settings | {"priorities": 2})
        await self.refused("invalid_setting", client.request("topic_set", **changed))
        await client.request("topic_set", topic=self.topic, settings=settings | {"priorities": 0})
        self.assertEqual((await self.topic_item(client)).settings.priorities, 3)

    # Promise: priority.counts
    async def test_what_is_ready_is_counted_by_level(self):
        connection = await self.raw(features_offered=FEATURES["priorities"])
        self.assertEqual(connection.terms.features, FEATURES["priorities"])
        client = await self.connect()
        await self.create_ranked(client, 3)
        await client.publish(self.topic, ranked("a"), ranked("b"))
        await client.publish(self.topic, ranked("c", 5))
        counts, position, more = [0, 0, 0], 0, True
        while more:
            counted = await connection.request(
                "queue_levels", queue=self.queue, **{"from": position}
            )
            self.assertEqual([each.level for each in counted.levels], [0, 1, 2])
            counts = [sum(pair) for pair in zip(counts, (each.ready for each in counted.levels))]
            position, more = counted.next, counted.more
        self.assertEqual((counts, counted.due, position), ([2, 0, 1], 0, 3))


if __name__ == "__main__":
    unittest.main()
