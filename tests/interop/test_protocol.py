"""The encodings of the Python client against the document's examples and the golden files."""

import pathlib
import unittest

import brokerd_protocol as protocol
from brokerd_protocol import Lease, LeaseRun, Message

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "protocol"


def golden_bytes(path: pathlib.Path) -> bytes:
    lines = path.read_text(encoding="utf-8").splitlines()
    return bytes.fromhex("".join(line for line in lines if not line.startswith("#")))


class Examples(unittest.TestCase):
    def test_crc32c(self):
        self.assertEqual(protocol.crc32c(b"123456789"), 0xE3069283)
        self.assertEqual(protocol.crc32c(bytes(32)), 0x8A9136AA)

    def test_hello(self):
        frame = protocol.encode_frame(
            "hello",
            1,
            magic=protocol.MAGIC,
            version_min=1,
            version_max=1,
            features_required=0,
            features_offered=0,
            client_name="me",
        )
        self.assertEqual(
            frame.hex(),
            "1c0000000100000001000000603d95ed"
            "42524b44010001000000000000000000000000000000000002006d65",
        )

    def test_publish(self):
        record = protocol.encode_record(Message(b"hello", key=b"42", headers=[("a", "b")]))
        batch = protocol.encode_batch([record], producer=7, first_sequence=1)
        frame = protocol.encode_frame("publish", 2, topic="t", batch=batch)
        self.assertEqual(
            frame.hex(),
            "4d0000001000000002000000a5ac020e"
            "01007401000300010000001a000000610c9e9e07000000000000000100000000"
            "000000ffffffffffffffffffffffffffffffff1600000022ccb1440302003432"
            "010001006101006268656c6c6f",
        )

    def test_published(self):
        body = bytes.fromhex(
            "010000004a00000000000000010000000e0000000200000000000000000000000100"
        )
        message = protocol.decode_body("published", body)
        self.assertEqual((message.credit_messages, message.credit_bytes), (1, 74))
        self.assertEqual(
            vars(message.items[0]), dict(request=2, base_offset=0, level=1, duplicate=False)
        )

    def test_settle(self):
        frame = protocol.encode_frame(
            "settle",
            3,
            queue=5,
            action=protocol.ACTIONS["ack"],
            confirm=False,
            delay=protocol.DEFAULT_DELAY,
            reason="",
            producer=0,
            sequence=0,
            runs=[LeaseRun(0, 5, 1, 1)],
        )
        self.assertEqual(
            frame.hex(),
            "400000001e000000030000006529cd58"
            "05000000000000000100ffffffffffffffff0000000000000000000000000000"
            "0000000001000000000000000000000005000000010000000100000000000000",
        )


class GoldenFiles(unittest.TestCase):
    def test_every_message_decodes_and_encodes_to_the_same_bytes(self):
        # The version is that of a golden file; one of each message that this client knows.
        files = {path.name.split(".")[0]: path for path in GOLDEN.glob("*.v1.hex")}
        # Of messages that grew this client knows the first form, and all forms of the settings.
        earlier = list((GOLDEN / "earlier").glob("*.hex"))
        files |= {path.stem: path for path in earlier if path.stem in protocol.MESSAGES}
        self.assertGreaterEqual(files.keys(), protocol.MESSAGES.keys())
        known = [(name, files[name]) for name in protocol.MESSAGES]
        later = [(path.stem.split(".")[0], path) for path in earlier if "." in path.stem]
        newest = sorted({name for name, _ in later})
        known += later + [(name, GOLDEN / f"{name}.v1.hex") for name in newest]
        for name, path in known:
            with self.subTest(path.name):
                data = golden_bytes(path)
                header = protocol.decode_header(data[: protocol.HEADER_BYTES])
                body = data[protocol.HEADER_BYTES :]
                self.assertEqual((header.name, header.body_bytes), (name, len(body)))
                message = protocol.decode_body(name, body)
                self.assertEqual(
                    protocol.encode_frame(name, header.request_id, **vars(message)), data
                )

    def test_fields_of_later_forms_are_skipped_in_structs_alone(self):
        grew_themselves = {"dead_list", "dead_redrive", "dead_purge", "queue_purge"}
        for name in {path.stem.split(".")[0] for path in (GOLDEN / "earlier").glob("*.hex")}:
            with self.subTest(name):
                data = golden_bytes(GOLDEN / f"{name}.v1.hex")
                body = data[protocol.HEADER_BYTES :]
                if name in grew_themselves:
                    with self.assertRaises(protocol.ProtocolError):
                        protocol.decode_body(name, body)
                else:
                    protocol.decode_body(name, body)

    def test_batches(self):
        for name in ("batch", "batch_ttl", "batch_id"):
            data = golden_bytes(GOLDEN / f"{name}.v1.hex")
            records = list(protocol.split_records(data[protocol.BATCH_HEADER_BYTES :]))
            messages = [protocol.decode_record(record) for record in records]
            self.assertEqual([protocol.encode_record(message) for message in messages], records)
            producer = int.from_bytes(data[16:24], "little")
            sequence = int.from_bytes(data[24:32], "little")
            self.assertEqual(protocol.encode_batch(records, producer, sequence), data)


class Decoding(unittest.TestCase):
    def test_bytes_behind_the_last_field_are_refused(self):
        with self.assertRaises(protocol.ProtocolError):
            protocol.decode_body("pong", b"\0")

    def test_a_truncated_body_is_refused(self):
        with self.assertRaises(protocol.ProtocolError):
            protocol.decode_body("error", b"\1\0\5\0abc")

    def test_a_struct_with_more_fields_than_known_is_read(self):
        newer = bytes([68, 0]) + bytes(68)
        self.assertEqual(protocol.decode_body("topic_set", b"\1\0t" + newer).settings.ttl, 0)

    def test_a_struct_with_fewer_fields_than_known_is_read(self):
        older = bytes([16, 0]) + bytes(16)
        settings = protocol.decode_body("topic_set", b"\1\0t" + older).settings
        self.assertEqual(vars(settings), dict(keep_done=0, max_message_bytes=0))

    def test_a_damaged_record_is_refused(self):
        record = bytearray(protocol.encode_record(Message(b"payload")))
        record[-1] ^= 1
        with self.assertRaises(protocol.ProtocolError):
            protocol.decode_record(bytes(record))

    def test_an_unknown_error_code_is_internal(self):
        self.assertEqual(protocol.BrokerError(9999, "new").name, "internal")


class Runs(unittest.TestCase):
    def test_neighbours_have_consecutive_offsets_and_leases(self):
        leases = [(5, Lease(1, 9)), (3, Lease(1, 7)), (4, Lease(1, 8)), (6, Lease(1, 11))]
        runs = protocol.join_runs(leases)
        self.assertEqual(runs, [LeaseRun(3, 3, 1, 7), LeaseRun(6, 1, 1, 11)])
        expanded = [pair for run in runs for pair in protocol.each_lease(run)]
        self.assertEqual(expanded, sorted(leases))


if __name__ == "__main__":
    unittest.main()
