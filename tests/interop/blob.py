"""One end of a transfer, from another vendor's DDS: `blob.py receive|send --domain N --blob HEX --file F [--chunks N]`.

`receive` puts the chunks of `model_chunk` together and names its gaps in receipts until it has all; then they are in
the file. `send` offers the manifest in F.manifest, and sends the chunks in F on `update_chunk` as receipts allow. Who is
at the other end is the test. Both greet first: chunks go out only when a presence has come back as a hello.

Bodies are as in the protocol, but for what Python's library has no key for: presence is `session u64 | mailbox | whether
the hello was heard`, and receipts go without their last 16 bytes.
"""

import argparse
import hashlib
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "watch"))

from domain import Joined, samples
from messages import Input, Known, Malformed, open_signed

CHUNK_BYTES = 49_200
OFFER_INDEX = 2**32 - 1
WINDOW = 8
GAPS_MAX = 64
QUEUED, OPEN, COMPLETE, REFUSED = 1, 2, 3, 4

NODE = hashlib.sha256(b"another vendor").digest()
SESSION = 0x0123456789ABCDEF


class Have:
    """The chunks that have arrived, and what a receipt says of them."""

    def __init__(self, count):
        self.chunks = [None] * count

    def front(self):
        return max((index + 1 for index, chunk in enumerate(self.chunks) if chunk is not None), default=0)

    def gaps(self):
        front, gaps, start = self.front(), [], None
        for index in range(front):
            if self.chunks[index] is None:
                start = index if start is None else start
            elif start is not None:
                gaps.append((start, index))
                start = None
        if len(gaps) > GAPS_MAX:
            front = gaps[GAPS_MAX][0]
        return front, gaps[:GAPS_MAX]


def receipt(blob, seq, have, stalled):
    if all(chunk is not None for chunk in have.chunks):
        return struct.pack("<32sIB", blob, seq, COMPLETE)
    front, gaps = have.gaps()
    head = struct.pack("<32sIBIBII", blob, seq, OPEN, WINDOW, stalled, front, len(gaps))
    return head + b"".join(struct.pack("<II", *gap) for gap in gaps)


def read_receipt(body):
    given = Input(body)
    told = {"blob": given.take(32), "seq": given.u32(), "status": given.u8()}
    if told["status"] == OPEN:
        told.update(window=given.u32(), stalled=given.u8(), front=given.u32())
        told["gaps"] = given.list(lambda one: (one.u32(), one.u32()), GAPS_MAX)
    given.end()
    return told


def address(reader):
    """The RTPS GUID of a reader: where directed samples go."""
    return reader.guid.bytes


class Greeting:
    """Says hello until it is answered. Make every other reader and writer first."""

    def __init__(self, joined, chunks=None, receipts=None):
        mailbox = b"".join(address(reader) if reader else bytes(16) for reader in (chunks, receipts))
        self.say = struct.pack("<Q", SESSION) + mailbox
        self.hellos, self.presence = joined.reader("hello"), joined.writer("presence")
        self.type, self.at, self.answered = joined.types["presence"], 0, False

    def tick(self, now):
        for sample in samples(self.hellos):
            try:
                _, told = open_signed("hello", sample.body, Known())
            except Malformed as error:
                print(f"ignored: {error}")
                continue
            self.answered |= {"node": NODE.hex(), "session": SESSION} in told["heard"]
        if now >= self.at:
            self.presence.write(self.type(node=NODE, body=self.say + bytes([self.answered])))
            self.at = now + 0.05


def receive(joined, options):
    blob, have = bytes.fromhex(options.blob), Have(options.chunks)
    chunks, receipts = joined.reader("model_chunk"), joined.writer("model_receipt")
    greeting = Greeting(joined, chunks=chunks)
    seq, unconfirmed, repeated, at = 0, 0, 0, time.monotonic() + 0.04
    while True:
        now = time.monotonic()
        greeting.tick(now)
        for sample in samples(chunks):
            if bytes(sample.blob) != blob:
                continue
            if have.chunks[sample.index] is not None:
                repeated += 1
                continue
            have.chunks[sample.index] = bytes(sample.body)
            unconfirmed, at = unconfirmed + 1, now + 0.04
        done = all(chunk is not None for chunk in have.chunks)
        stalled = now >= at
        if unconfirmed * 2 >= WINDOW or stalled or (done and unconfirmed):
            seq, unconfirmed, at = seq + 1, 0, now + (0.3 if done else 0.04)
            body = receipt(blob, seq, have, stalled)
            receipts.write(joined.types["model_receipt"](blob=blob, node=NODE, body=body))
            if done:
                print(f"complete: {seq} receipts, {repeated} chunks twice", flush=True)
                Path(options.file).write_bytes(b"".join(have.chunks))
                return
        time.sleep(0.001)


def send(joined, options):
    blob, data = bytes.fromhex(options.blob), Path(options.file).read_bytes()
    offer = Path(options.file + ".manifest").read_bytes()
    pieces = [data[start:start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    receipts, chunks = joined.reader("update_receipt"), joined.writer("update_chunk")
    greeting = Greeting(joined, receipts=receipts)

    def write(index, body):
        chunks.write(joined.types["update_chunk"](blob=blob, index=index, body=body))

    seq, cursor, limit, offer_at, repairs = 0, 0, None, 0, 0
    while True:
        now = time.monotonic()
        greeting.tick(now)
        if greeting.answered and limit is None and now >= offer_at:
            write(OFFER_INDEX, offer)
            offer_at = now + 0.05
        for sample in samples(receipts):
            told = read_receipt(sample.body)
            if told["blob"] != blob or told["seq"] <= seq:
                continue
            seq = told["seq"]
            if told["status"] == COMPLETE:
                print(f"delivered: {seq} receipts heard, {repairs} repairs", flush=True)
                return
            if told["status"] == OPEN:
                limit = told["front"] + told["window"]
                lost = [index for start, end in told["gaps"] for index in range(start, end)]
                if told["stalled"]:
                    lost += range(told["front"], cursor)
                for index in lost[:told["window"]]:
                    repairs += 1
                    write(index, pieces[index])
        while limit is not None and cursor < min(limit, len(pieces)):
            # Some are left out, as a network would.
            if cursor % 5 != 2:
                write(cursor, pieces[cursor])
            cursor += 1
        time.sleep(0.001)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("direction", choices=["receive", "send"])
    parser.add_argument("--domain", type=int, required=True)
    parser.add_argument("--blob", required=True)
    parser.add_argument("--file", required=True)
    parser.add_argument("--chunks", type=int)
    options = parser.parse_args()
    {"receive": receive, "send": send}[options.direction](Joined(options.domain, "127.0.0.1"), options)


if __name__ == "__main__":
    main()
