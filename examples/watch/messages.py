"""The signed messages of Starling, decoded: little-endian, a `u32` before lists and texts, one tag byte for a choice.

What each field means is said in `common/src/message/`; how it is encoded in `common/docs/protocol.md`.
"""

import hashlib
import struct

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256
except ImportError:
    ec = None

VERSION = 1
SIGNATURE_BYTES = 64
SUITES = {1: "x25519", 2: "x-wing"}
ENCAPSULATED = {"x25519": 32, "x-wing": 1120}
STANDINGS = {1: "ready", 2: "draining", 3: "leaving"}
ACTIVITIES = {1: "fetching", 2: "waiting", 3: "training", 4: "uploading", 5: "declining", 6: "hanging"}
REQUESTS = {1: "train", 2: "keep", 3: "rest"}
# A cohort, and so the longest list of a message.
LIST_MAX = 4096


class Malformed(Exception):
    """Bytes that are not what they should be. Anybody can write to a domain."""


class Input:
    """Bytes being read. Whatever they are, reading ends in a value or in `Malformed`."""

    def __init__(self, data):
        self.data, self.offset = bytes(data), 0

    def take(self, count):
        if count > len(self.data) - self.offset:
            raise Malformed(f"at byte {self.offset}: cut short")
        self.offset += count
        return self.data[self.offset - count:self.offset]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]

    def u8(self):
        return self.number("B")

    def u16(self):
        return self.number("H")

    def u32(self):
        return self.number("I")

    def u64(self):
        return self.number("Q")

    def hex(self, count):
        return self.take(count).hex()

    def one_of(self, table):
        tag = self.u8()
        if tag not in table:
            raise Malformed(f"at byte {self.offset}: unknown value {tag}")
        return table[tag]

    def length(self, most):
        count = self.u32()
        if count > most:
            raise Malformed(f"at byte {self.offset}: longer than the limit of {most}")
        return count

    def list(self, one, most=LIST_MAX):
        return [one(self) for _ in range(self.length(most))]

    def option(self, one):
        return one(self) if self.one_of({0: False, 1: True}) else None

    def text(self, most):
        try:
            return self.take(self.length(most)).decode()
        except UnicodeDecodeError:
            raise Malformed(f"at byte {self.offset}: not UTF-8") from None

    def end(self):
        if self.offset != len(self.data):
            raise Malformed(f"at byte {self.offset}: more bytes than the value has")


def key(given, lengths):
    """A key as long as its suite has it: the suite's name, and the key."""
    suite = given.one_of(SUITES)
    return suite, given.hex(lengths[suite])


def package(given):
    node, (suite, public) = given.hex(32), key(given, {"x25519": 32, "x-wing": 1216})
    return {"node": node, "suite": suite, "public": public, "nonce": given.hex(16), "expires_us": given.u64()}


def work(given):
    return {"run": given.hex(16), "epoch": given.u64(), "activity": given.one_of(ACTIVITIES), "progress": given.u8()}


def presence(given):
    told = {"session": given.u64(), "seq": given.u64(), "answers": given.u64(), "roster": given.u64(),
            "acted": given.option(manifest), "certified_us": given.u64(), "package": package(given), "chunks": given.hex(16), "receipts": given.hex(16), "standing": given.one_of(STANDINGS),
            "works": given.list(work), "drifted": given.option(lambda run: run.hex(16)), "version": given.u16()}
    return told


def hello(given):
    return {"seq": given.u64(), "chunks": given.hex(16), "receipts": given.hex(16),
            "heard": given.list(lambda one: {"node": one.hex(32), "session": one.u64()}),
            "suite": given.one_of(SUITES), "version": given.u16()}


def manifest(given):
    """The public part of a sealed value. Its salt, keys and root matter to those who can open it."""
    if given.take(4) != b"STRL" or given.u8() != VERSION:
        raise Malformed(f"at byte {given.offset}: not the header of a sealed value of version {VERSION}")
    told = {"suite": given.one_of(SUITES), "kind": given.one_of({1: "model", 2: "update", 3: "records"}), "tenant": given.hex(16),
            "run": given.hex(16), "round": given.u32(), "epoch": given.u64(), "seq": given.u64(),
            "trace": given.hex(16), "sender": given.hex(32)}
    told["recipient"] = given.option(lambda one: one.hex(32))
    told.update(bytes=given.u64(), chunks=given.u32())
    given.take(24 + 32)
    given.option(lambda one: key(one, ENCAPSULATED))
    given.take(32)
    given.option(package)
    given.take(SIGNATURE_BYTES)
    return told


def member(given):
    """Who can open the model. The wrapped root matters to that node alone."""
    node = given.hex(32)
    given.take(16)
    key(given, ENCAPSULATED)
    given.take(48)
    return node


def announcement(given):
    told = {"tenant": given.hex(16), "run": given.hex(16), "round": given.u32(), "epoch": given.u64(),
            "taken_from": given.u64(), "roster": given.u64(), "issued_us": given.u64(), "deadline_ms": given.u64(),
            "request": given.one_of(REQUESTS)}
    if told["request"] != "rest":
        told["model"] = manifest(given)
        told["members"] = given.list(lambda one: member(one))
    return told


def event(given):
    told = {"run": given.hex(16), "round": given.u32(), "at_us": given.u64()}
    fact = given.one_of({1: "round_opened", 2: "update_rejected", 3: "round_closed", 4: "round_aborted",
                         5: "run_finished", 6: "run_failed", 7: "node_away", 8: "node_back", 9: "node_refused"})
    told["fact"] = fact
    if fact == "round_opened":
        told["cohort"] = given.list(lambda one: one.hex(32))
    if fact in ("update_rejected", "node_away", "node_back", "node_refused"):
        told["node"] = given.hex(32)
    if fact == "round_closed":
        told.update(model=given.hex(32), updates=given.u32())
    if fact in ("update_rejected", "round_aborted", "run_failed", "node_away", "node_refused"):
        told["reason"] = given.text(256)
    return told


# By topic: the text that its signatures are for, and how its body is read.
SIGNED = {
    "announce": (b"starling v1 announce", announcement),
    "hello": (b"starling v1 hello", hello),
    "presence": (b"starling v1 presence", presence),
    "event": (b"starling v1 event", event),
}


class Known:
    """Public keys by id, which is the SHA-256 of the key, and the names that go with them."""

    def __init__(self):
        self.keys, self.names = {}, {}

    def add(self, digits, name):
        key = bytes.fromhex(digits)
        if len(key) != 33:
            raise ValueError(f"{digits!r}: a public identity is written as 66 hex digits")
        identity = hashlib.sha256(key).hexdigest()
        self.keys[identity], self.names[identity] = key, name

    def name(self, identity):
        return self.names.get(identity, identity[:8])


def can_check():
    """Whether signatures can be checked: Python's own library has no P-256."""
    return ec is not None


def is_signed(key, label, content, signature):
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key)
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    try:
        public.verify(der, label + b"\0" + content, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def open_signed(topic, data, known):
    """Who signed it and what: `signer (32) | body | signature (64)`.

    Raises `Malformed`, also when keys are known and the signer's is not, or when a signature that can be checked
    is not the signer's.
    """
    label, read = SIGNED[topic]
    data = bytes(data)
    content, signature = data[:-SIGNATURE_BYTES], data[-SIGNATURE_BYTES:]
    given = Input(content)
    signer = given.hex(32)
    if known.keys:
        if signer not in known.keys:
            raise Malformed(f"signed by {signer[:8]}, whose key is not known")
        if can_check() and not is_signed(known.keys[signer], label, content, signature):
            raise Malformed(f"wrong signature in the name of {signer[:8]}")
    told = read(given)
    given.end()
    return signer, told
