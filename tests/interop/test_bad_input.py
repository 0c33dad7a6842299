"""Errors of brokerd as its protocol document promises them: code, text, and what survives."""

import asyncio
import unittest

import brokerd_protocol as protocol
from brokerd_connection import Connection
from brokerd_protocol import DURABILITY, SECOND, BrokerError, LeaseRun, Message
from interop_case import LATER_TOPIC_SETTINGS, QUEUE_SETTINGS, TOPIC_SETTINGS, InteropCase

RECORD = protocol.encode_record(Message(b"payload"))


class BadInput(InteropCase):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        # Another connection notices nothing of what its neighbour does.
        self.bystander = await self.connect()
        self.addAsyncCleanup(self.bystander_lives)

    async def bystander_lives(self):
        await self.bystander.request("ping")
        self.assertEqual(self.bystander.connects, 1)

    async def refused(self, code: str, awaitable) -> BrokerError:
        with self.assertRaises(BrokerError) as raised:
            await awaitable
        self.assertEqual(raised.exception.name, code, raised.exception.text)
        self.assertTrue(raised.exception.text)
        return raised.exception

    async def closed(self, code: str, connection: Connection) -> None:
        await connection.closed.wait()
        self.assertIsInstance(connection.error, BrokerError)
        self.assertEqual(connection.error.name, code, connection.error.text)

    async def unshaken(self) -> Connection:
        """A connection from before its hello."""
        connection = await Connection.dial(self.broker.host, self.broker.port)
        self.addCleanup(connection.abort)
        return connection

    # --- the handshake

    async def test_a_version_nobody_speaks_is_refused(self):
        error = await self.refused("version_unsupported", self.raw(versions=(2, 9)))
        self.assertIn("1", error.text)

    async def test_a_newer_client_gets_the_version_both_speak(self):
        connection = await self.raw(versions=(1, 9))
        self.assertEqual(connection.terms.version, 1)

    async def test_an_unknown_feature_is_refused(self):
        await self.refused("feature_unsupported", self.raw(features_required=1 << 63))

    async def test_a_request_before_hello_is_refused(self):
        connection = await self.unshaken()
        await self.refused("unexpected", connection.request("ping"))
        await self.closed("unexpected", connection)

    async def test_garbage_instead_of_hello_is_refused(self):
        connection = await self.unshaken()
        connection.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await self.closed("bad_frame", connection)

    async def test_a_large_hello_is_refused(self):
        connection = await self.unshaken()
        connection.send_bytes(protocol.raw_frame(1, 1, bytes(4097)))
        await self.closed("frame_too_large", connection)

    # --- frames

    async def test_garbage_behind_the_hello_ends_the_connection(self):
        connection = await self.raw()
        connection.send_bytes(b"\xff" * 64)
        await self.closed("bad_frame", connection)

    async def test_a_frame_over_the_limit_ends_the_connection(self):
        connection = await self.raw()
        header = protocol.raw_frame(16, 1, b"")[: protocol.HEADER_BYTES]
        size = (connection.terms.frame_bytes_max + 1).to_bytes(4, "little")
        header = size + header[4:12]
        connection.send_bytes(header + protocol.crc32c(header).to_bytes(4, "little"))
        await self.closed("frame_too_large", connection)

    async def test_an_unknown_type_is_refused_and_the_connection_lives(self):
        connection = await self.raw()
        connection.send_bytes(protocol.raw_frame(200, 7, b"what is it"))
        await self.refused("unknown_type", connection.answer(7))
        await connection.request("ping")

    async def test_unknown_flags_are_refused_and_the_connection_lives(self):
        connection = await self.raw()
        connection.send_bytes(protocol.raw_frame(3, 7, b"", flags=128))
        await self.refused("bad_flags", connection.answer(7))
        await connection.request("ping")

    async def test_a_body_that_cannot_be_decoded_is_refused_and_the_connection_lives(self):
        connection = await self.raw()
        for number, body in ((24, b"\5\0ab"), (54, b"\3\0a/b\2"), (48, bytes(60))):
            with self.subTest(type=number):
                connection.send_bytes(protocol.raw_frame(number, 99, body))
                await self.refused("malformed", connection.answer(99))
        await connection.request("ping")

    async def test_bytes_behind_the_last_field_are_malformed(self):
        connection = await self.raw()
        for number, body in ((90, b"\0"), (58, b"\3\0a/b\0" + bytes(9)), (3, b"\0")):
            with self.subTest(type=number):
                connection.send_bytes(protocol.raw_frame(number, 99, body))
                await self.refused("malformed", connection.answer(99))

    async def test_a_frame_that_only_the_broker_sends_is_refused(self):
        connection = await self.raw()
        await self.refused("unexpected", connection.request("health_report", writable=True,
                                                            warnings=[]))  # fmt: skip
        await self.closed("unexpected", connection)

    # --- publishing

    async def test_credit_overrun_ends_the_connection(self):
        await self.create(self.bystander)
        connection = await self.raw()
        records = [protocol.encode_record(Message())] * connection.terms.batch_records_max
        batch = protocol.encode_batch(records)
        frames = 16 * connection.terms.credit_messages // len(records)
        connection.send_bytes(
            b"".join(
                protocol.encode_frame("publish", i + 1, topic=self.topic, batch=batch)
                for i in range(frames)
            )
        )
        await self.closed("credit_overrun", connection)
        # What was stored of it was stored in whole batches.
        stored = (await self.topic_item(self.bystander)).next_offset
        self.assertEqual(stored % len(records), 0)
        self.assertLess(stored, frames * len(records))

    async def test_an_unknown_topic_names_the_command_that_creates_it(self):
        publish = self.bystander.publish("absent.topic", Message(b"x"))
        error = await self.refused("topic_not_found", publish)
        self.assertIn("brokerctl topic create absent.topic", error.text)

    # Promise: limits.checksums
    async def test_bad_batches_are_refused_and_nothing_is_stored(self):
        await self.create(self.bystander)
        good = protocol.encode_batch([RECORD])
        wrong_count = bytearray(protocol.encode_batch([RECORD, RECORD]))
        wrong_count[4] = 1
        wrong_count[12:16] = bytes(4)
        crc = protocol.crc32c(wrong_count[: protocol.BATCH_HEADER_BYTES])
        wrong_count[12:16] = crc.to_bytes(4, "little")
        damaged_header = bytearray(good)
        damaged_header[20] ^= 1
        damaged_record = bytearray(good)
        damaged_record[-1] ^= 1
        too_many = [RECORD] * (self.bystander.connection.terms.batch_records_max + 1)
        long_key = protocol.encode_record(Message(key=bytes(4097)))
        many_headers = protocol.encode_record(Message(headers=[("a", "b")] * 65))
        large = protocol.encode_record(Message(bytes(TOPIC_SETTINGS["max_message_bytes"])))
        named = protocol.encode_record(Message(message_id=b"m-1"))
        named_nothing = protocol.encode_record(Message(message_id=b""))
        batches = {
            "empty_batch": protocol.encode_batch([]),
            "bad_checksum of the header": bytes(damaged_header),
            "bad_batch truncated": good[:-1],
            "bad_batch longer": good + b"\0",
            "bad_batch count": bytes(wrong_count),
            "bad_batch no header": b"",
            "bad_checksum of a record": bytes(damaged_record),
            "too_many_records": protocol.encode_batch(too_many),
            "key_too_large": protocol.encode_batch([long_key]),
            "too_many_headers": protocol.encode_batch([many_headers]),
            "message_too_large": protocol.encode_batch([large]),
            "invalid_argument several with an id": protocol.encode_batch([RECORD, named]),
            "bad_batch an empty id": protocol.encode_batch([named_nothing]),
        }
        connection = await self.raw()
        for name, batch in batches.items():
            with self.subTest(name):
                publish = connection.request("publish", topic=self.topic, batch=batch)
                error = await self.refused(name.split()[0], publish)
                self.assertIn(f"topic {self.topic}", error.text)
                if name == "message_too_large":
                    self.assertIn(f"a message of {len(large)} bytes", error.text)
                    self.assertIn(f"--max-message-bytes {len(large)}", error.text)
        await connection.request("ping")
        self.assertEqual((await self.topic_item(self.bystander)).next_offset, 0)

    async def test_sequences_are_checked(self):
        await self.create(self.bystander)
        connection = await self.raw()
        answers = asyncio.Queue()

        def pushed(name, number, message):
            if name == "published":
                answers.put_nowait(message.items[0])

        def publish(first: int, count: int):
            batch = protocol.encode_batch([RECORD] * count, producer=5, first_sequence=first)
            return connection.answer(connection.send("publish", topic=self.topic, batch=batch))

        async def stored(first: int, count: int):
            publish(first, count).close()  # its answer is pushed
            answer = await answers.get()
            return answer.base_offset, answer.duplicate

        connection.on_push = pushed

        self.assertEqual(await stored(1, 4), (0, False))
        self.assertEqual(await stored(1, 4), (0, True))
        self.assertEqual(await stored(2, 2), (1, True))
        await self.publish(self.bystander, "in between")
        self.assertEqual(await stored(5, 2), (5, False))
        for first, count in ((4, 2), (3, 4), (6, 2)):
            await self.refused("sequence_mismatch", publish(first, count))
        self.assertEqual(await stored(7, 4096), (7, False))
        await self.refused("sequence_too_old", publish(1, 4))
        self.assertEqual((await self.topic_item(self.bystander)).next_offset, 4103)

    # --- names, topics and queues

    async def test_bad_names_are_refused(self):
        for name in ("", "a b", "a..b", ".a", "a.", "ä", "a/b", "x" * 256, ".".join("a" * 17)):
            with self.subTest(name):
                create = self.bystander.create_topic(name, TOPIC_SETTINGS)
                await self.refused("invalid_name", create)
        for name in ("", "a", "a/", "/b", "a/b/c", "a/b c"):
            with self.subTest(name):
                create = self.bystander.create_queue(name, QUEUE_SETTINGS)
                await self.refused("invalid_name", create)

    async def test_an_unknown_queue_names_the_command_that_creates_it(self):
        consume = self.bystander.consume("absent.topic/billing")
        error = await self.refused("queue_not_found", consume)
        self.assertIn("brokerctl queue create absent.topic/billing", error.text)

    async def test_settings_out_of_bounds_are_refused(self):
        create = self.bystander.create_queue(self.queue, QUEUE_SETTINGS | {"lease": 1})
        error = await self.refused("invalid_setting", create)
        self.assertIn("lease", error.text)
        for name, value in (
            ("ttl", -1),
            ("durability", DURABILITY["memory"]),
            ("message_id_window", -1),
            ("message_id_window", 366 * 24 * 3600 * SECOND),
            ("max_bytes", 4095),
            ("max_age", SECOND - 1),
            ("max_age", -SECOND),
        ):
            with self.subTest(name):
                settings = TOPIC_SETTINGS | LATER_TOPIC_SETTINGS | {name: value}
                create = self.bystander.create_topic(self.topic, settings)
                error = await self.refused("invalid_setting", create)
                self.assertIn(name, error.text)

    # --- consuming

    async def test_consumer_ids_are_checked(self):
        client = self.bystander
        await self.create(client)
        await client.consume(self.queue)
        fields = dict(queue=self.queue, consumer=1, prefetch_bytes=1, limit=0, held=[])
        again = client.request("attach", prefetch_messages=1, **fields)
        await self.refused("consumer_exists", again)
        fields["consumer"] = 2
        large = client.request("attach", prefetch_messages=65537, **fields)
        await self.refused("invalid_argument", large)
        await self.refused("consumer_not_found", client.request("detach", consumer=9))
        fields = dict(consumer=9, messages=1, bytes=1)
        await self.refused("consumer_not_found", client.request("set_prefetch", **fields))

    async def test_leases_that_never_were_are_refused(self):
        client = self.bystander
        consumer, delivery = await self.one(client)
        fields = dict(queue=consumer.attached.queue, action=1, delay=-1, reason="")
        fields |= dict(producer=0, sequence=0)
        invented = LeaseRun(0, 3, delivery.lease.epoch, delivery.lease.counter + 7)
        settled = await client.request("settle", confirm=True, runs=[invented], **fields)
        self.assertEqual((settled.accepted, settled.refused), (0, 3))
        settle = client.request("settle", confirm=False, runs=[invented], **fields)
        await self.refused("lease_gone", settle)
        self.assertEqual((await consumer.confirm("ack", delivery)).accepted, 1)

    async def test_a_reason_beyond_its_limit_is_refused(self):
        consumer, delivery = await self.one(self.bystander)
        too_long = consumer.confirm("nack", delivery, reason="x" * 257)
        await self.refused("invalid_argument", too_long)
        self.assertEqual((await consumer.confirm("ack", delivery)).accepted, 1)

    async def test_a_delay_beyond_its_limit_is_refused(self):
        consumer, delivery = await self.one(self.bystander)
        year = 366 * 24 * 3600 * protocol.SECOND
        await self.refused("invalid_argument", consumer.confirm("nack", delivery, delay=year))
        self.assertEqual((await consumer.confirm("ack", delivery)).accepted, 1)

    # --- reading

    async def test_reading_what_is_not_there_is_refused(self):
        error = await self.refused("topic_not_found", self.bystander.read("absent.topic", 0))
        self.assertIn("absent.topic", error.text)
        await self.create(self.bystander)
        show = self.bystander.request("message_show", topic=self.topic, offset=5)
        await self.refused("not_found", show)


if __name__ == "__main__":
    unittest.main()
