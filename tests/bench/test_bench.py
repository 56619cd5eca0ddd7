"""What the measurement rests on and can be checked without servers: `python3 -B -m unittest discover -s tests/bench`."""

import random
import unittest

import flv
import rtmp
import table


class Messages(unittest.TestCase):
    """RTMP in and out."""

    def test_messages_in_any_pieces_are_put_together_again(self):
        bodies = [bytes(range(256)) * n for n in (0, 1, 3)] + [b"x" * 128, b"y" * 129]
        stream = b"".join(flv.message(flv.VIDEO, 40 * n, body, 128) for n, body in enumerate(bodies))
        draw = random.Random(7)
        for _ in range(50):
            chunks, got, at = rtmp.Chunks(), [], 0
            while at < len(stream):
                piece = draw.randint(1, 200)
                got += [body for _, body in chunks.messages(stream[at : at + piece])]
                at += piece
            self.assertEqual(got, bodies)

    def test_a_larger_chunk_size_is_followed(self):
        chunks = rtmp.Chunks()
        size = flv.message(rtmp.SET_CHUNK_SIZE, 0, (4096).to_bytes(4, "big"), 128, 0, chunk_stream=2)
        body = b"z" * 5000
        self.assertEqual(list(chunks.messages(size + flv.message(flv.AUDIO, 9, body, 4096))), [(flv.AUDIO, body)])

    def test_amf0_is_read_as_it_was_written(self):
        values = ["connect", 1.0, None, {"app": "live", "level": "status"}]
        self.assertEqual(rtmp.read_amf0(rtmp.amf0(*values)), values)


class Replay(unittest.TestCase):
    """The endless time line of a recording."""

    def test_ticks_of_any_length_send_every_frame_once(self):
        frames = [(flv.VIDEO, bytes([n])) for n in range(5)]
        recording = flv.Recording([], [0, 40, 80, 120, 160], frames, 200)
        draw = random.Random(3)
        got, at = [], 0
        while at < 1000:
            until = min(at + draw.randint(1, 450), 1000)
            got += [(t_ms, body) for t_ms, _, body in recording.between(at, until)]
            at = until
        self.assertEqual(got, [(40 * n, bytes([n % 5])) for n in range(25)])


class Tables(unittest.TestCase):
    """Words and figures."""

    def test_a_verdict_is_that_of_the_medians(self):
        self.assertEqual(table.against([1.0, 2.0, 9.0], [4.0], 0.5), "0.50×, bar 0.5×: met")
        self.assertEqual(table.against([3.0], [4.0], 0.5), "0.75×, bar 0.5×: **missed**")
        self.assertEqual(table.spread([3, 1, 2], 0), "2 (1–3)")

    def test_only_the_named_part_of_a_document_is_replaced(self):
        document = "a\n<!-- bench:x -->\nold\n<!-- /bench:x -->\n<!-- bench:y -->\nkept\n<!-- /bench:y -->\n"
        self.assertEqual(table.replace(document, "x", "new"), document.replace("old", "new"))
        with self.assertRaises(ValueError):
            table.replace(document, "z", "new")


if __name__ == "__main__":
    unittest.main()
