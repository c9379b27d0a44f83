"""The envelope a second time, from the protocol's text: identities, HPKE, wrapped roots, sealed values, receipts.

A peer that is a node and a coordinator at once. It reads one request a line, JSON with bytes as hex, and answers each
with one line. What it draws at random it writes to stderr, so that a failure can be repeated by hand.
"""

import hashlib
import hmac
import json
import secrets
import struct
import sys

import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mlkem, utils, x25519
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

RECORD, RECORDS = 16384, 3
KINDS = {"model": 1, "update": 2, "records": 3}
FAR = 2**63


def draw(what, count):
    drawn = secrets.token_bytes(count)
    print(f"{what} {drawn.hex()}", file=sys.stderr, flush=True)
    return drawn


# Identities: ECDSA P-256 with SHA-256 over label, a zero byte and the message; r and s in 32 bytes each.


def compressed(public):
    return public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)


class Identity:
    def __init__(self):
        # Below the order of the group, since the first byte is.
        scalar = int.from_bytes(b"\x7f" + draw("identity", 31))
        self.key = ec.derive_private_key(scalar, ec.SECP256R1())
        self.public = compressed(self.key.public_key())
        self.id = hashlib.sha256(self.public).digest()

    def sign(self, label, message):
        der = self.key.sign(label + b"\0" + message, ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32) + s.to_bytes(32)


def verify(public, label, message, signature):
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    r, s = (int.from_bytes(half) for half in (signature[:32], signature[32:]))
    key.verify(utils.encode_dss_signature(r, s), label + b"\0" + message, ec.ECDSA(hashes.SHA256()))


def signed(identity, label, body):
    message = identity.id + body
    return message + identity.sign(label, message)


def body_of(public, label, message):
    """The body of a signed message, if the key with these bytes signed it."""
    if message[:32] != hashlib.sha256(public).digest():
        raise ValueError("another signer")
    verify(public, label, message[:-64], message[-64:])
    return message[32:-64]


# HPKE in base mode (RFC 9180), with HKDF-SHA256 and ChaCha20-Poly1305.


def extract(salt, key):
    return hmac.digest(salt or bytes(32), key, "sha256")


def expand(key, info, length):
    out = block = b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def labeled_extract(suite, salt, label, key):
    return extract(salt, b"HPKE-v1" + suite + label + key)


def labeled_expand(suite, key, label, info, length):
    return expand(key, struct.pack(">H", length) + b"HPKE-v1" + suite + label + info, length)


class X25519:
    """DHKEM(X25519, HKDF-SHA256)."""

    id, public_bytes, enc_bytes = 0x20, 32, 32

    @staticmethod
    def keypair():
        secret = x25519.X25519PrivateKey.from_private_bytes(draw("X25519", 32))
        return secret, secret.public_key().public_bytes_raw()

    @classmethod
    def secret(cls, shared, enc, public):
        suite = b"KEM" + struct.pack(">H", cls.id)
        key = labeled_extract(suite, b"", b"eae_prk", shared)
        return labeled_expand(suite, key, b"shared_secret", enc + public, 32)

    @classmethod
    def encapsulate(cls, public):
        secret, enc = cls.keypair()
        shared = secret.exchange(x25519.X25519PublicKey.from_public_bytes(public))
        return enc, cls.secret(shared, enc, public)

    @classmethod
    def decapsulate(cls, secret, public, enc):
        shared = secret.exchange(x25519.X25519PublicKey.from_public_bytes(enc))
        return cls.secret(shared, enc, public)


class XWing:
    """X25519 and ML-KEM-768 together (draft-connolly-cfrg-xwing-kem)."""

    id, public_bytes, enc_bytes = 0x647A, 1216, 1120

    @staticmethod
    def keypair():
        expanded = hashlib.shake_256(draw("X-Wing", 32)).digest(96)
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        curve = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        return (lattice, curve), lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()

    @staticmethod
    def combine(of_lattice, of_curve, enc, public):
        return hashlib.sha3_256(of_lattice + of_curve + enc[-32:] + public[-32:] + b"\\.//^\\").digest()

    @classmethod
    def encapsulate(cls, public):
        # The library draws what ML-KEM takes, and does not tell.
        of_lattice, of_both = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
        secret, curve = X25519.keypair()
        of_curve = secret.exchange(x25519.X25519PublicKey.from_public_bytes(public[1184:]))
        enc = of_both + curve
        return enc, cls.combine(of_lattice, of_curve, enc, public)

    @classmethod
    def decapsulate(cls, secret, public, enc):
        lattice, curve = secret
        of_curve = curve.exchange(x25519.X25519PublicKey.from_public_bytes(enc[1088:]))
        return cls.combine(lattice.decapsulate(enc[:1088]), of_curve, enc, public)


SUITES = {1: X25519, 2: XWing}


class Context:
    """The key schedule, after which both sides have the same."""

    def __init__(self, kem, shared, info):
        self.suite = b"HPKE" + struct.pack(">HHH", kem.id, 1, 3)
        psk_id = labeled_extract(self.suite, b"", b"psk_id_hash", b"")
        context = b"\0" + psk_id + labeled_extract(self.suite, b"", b"info_hash", info)
        secret = labeled_extract(self.suite, shared, b"secret", b"")
        self.key = labeled_expand(self.suite, secret, b"key", context, 32)
        self.nonce = labeled_expand(self.suite, secret, b"base_nonce", context, 12)
        self.exporter = labeled_expand(self.suite, secret, b"exp", context, 32)

    def seal(self, plain):
        return ChaCha20Poly1305(self.key).encrypt(self.nonce, plain, b"")

    def open(self, sealed):
        return ChaCha20Poly1305(self.key).decrypt(self.nonce, sealed, b"")

    def export(self, label):
        return labeled_expand(self.suite, self.exporter, b"sec", label, 32)


# Encoding: little-endian numbers, a length before lists, a tag for a choice.


class Input:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        taken = self.data[self.at : self.at + count]
        if len(taken) != count:
            raise ValueError(f"cut short at byte {self.at}")
        self.at += count
        return taken

    def number(self, count):
        return int.from_bytes(self.take(count), "little")

    def rest(self):
        return self.data[self.at :]


def tagged(kem, key):
    """The number of the suite before a key says how long it is."""
    return bytes(number for number, known in SUITES.items() if known is kem) + key


def take_enc(kem, given):
    if SUITES[given.number(1)] is not kem:
        raise ValueError("a key of another suite")
    return given.take(kem.enc_bytes)


class Package:
    """To which key something is sealed."""

    def __init__(self, node, kem, public, nonce, expires):
        self.node, self.kem, self.public, self.nonce, self.expires = node, kem, public, nonce, expires

    @classmethod
    def take(cls, given):
        node, kem = given.take(32), SUITES[given.number(1)]
        return cls(node, kem, given.take(kem.public_bytes), given.take(16), given.number(8))

    def put(self):
        return self.node + tagged(self.kem, self.public) + self.nonce + struct.pack("<Q", self.expires)


class AgreementKey:
    def __init__(self, kem, node):
        self.secret, public = kem.keypair()
        self.package = Package(node, kem, public, draw("nonce", 16), FAR)


class Subject:
    """What a value is about."""

    def __init__(self, kind, tenant, run, round, epoch, seq, trace):
        self.kind, self.tenant, self.run, self.round = kind, tenant, run, round
        self.epoch, self.seq, self.trace = epoch, seq, trace

    @classmethod
    def take(cls, given):
        kind, tenant, run = given.number(1), given.take(16), given.take(16)
        return cls(kind, tenant, run, given.number(4), given.number(8), given.number(8), given.take(16))

    def put(self):
        numbers = struct.pack("<IQQ", self.round, self.epoch, self.seq)
        return bytes([self.kind]) + self.tenant + self.run + numbers + self.trace

    def scope(self, sender):
        return self.tenant + self.run + struct.pack("<Q", self.epoch) + sender


def info(label, subject, sender, package):
    return label + b"\0" + subject.scope(sender) + package.put()


# Sealed values: C2SP chunked-encryption, three records of 16 KiB in a chunk.


def bulk(input_key, salt, header):
    made = expand(input_key, b"c2sp.org/chunked-encryption@v1+AEAD_CHACHA20_POLY1305\0" + salt + header, 76)
    return made[:32], made[32:44], made[44:]


def nonce(base, number):
    counter = struct.pack(">IQ", 0, number)
    return bytes(one ^ other for one, other in zip(base, counter))


def root_of(chunks):
    hashes_ = b"".join(blake3.blake3(chunk).digest() for chunk in chunks)
    return blake3.blake3(hashes_, derive_key_context="starling v1 root").digest()


class Manifest:
    """Everything needed to open a value but the key."""

    def __init__(self, data):
        given = Input(data)
        if given.take(4) != b"STRL" or given.number(1) != 1:
            raise ValueError("no header of version 1")
        self.kem = SUITES[given.number(1)]
        self.subject, self.sender = Subject.take(given), given.take(32)
        self.to = given.number(1)
        self.recipient = given.take(32) if self.to else None
        self.plain_bytes, self.chunks = given.number(8), given.number(4)
        self.header = data[: given.at]
        self.salt, self.commitment = given.take(24), given.take(32)
        self.enc = take_enc(self.kem, given) if given.number(1) else None
        self.root = given.take(32)
        self.next = Package.take(given) if given.number(1) else None
        self.statement, self.signature = data[: given.at], given.take(64)
        self.rest = given.rest()

    def open(self, public, input_key, chunks):
        if self.sender != hashlib.sha256(public).digest():
            raise ValueError("another sender")
        verify(public, b"starling v1 manifest", self.statement, self.signature)
        key, base, commitment = bulk(input_key, self.salt, self.header)
        if commitment != self.commitment or root_of(chunks) != self.root or len(chunks) != self.chunks:
            raise ValueError("commitment, root or count differ")
        sealed = b"".join(chunks)
        step = RECORD + 16
        records = [sealed[at : at + step] for at in range(0, len(sealed), step)]
        opened = [ChaCha20Poly1305(key).decrypt(nonce(base, at), record, b"") for at, record in enumerate(records)]
        plain = b"".join(opened)
        if len(plain) != self.plain_bytes or len(records[-1]) == step:
            raise ValueError("the length differs, or the last record is full")
        return plain


def seal(identity, suite, subject, recipient, enc, input_key, plain, next_package):
    """A manifest and chunks."""
    records = [plain[at : at + RECORD] for at in range(0, len(plain) + 1, RECORD)]
    count = -(-len(records) // RECORDS)
    to = bytes([1 if enc else 2]) + recipient if recipient else b"\0"
    header = b"STRL\1" + bytes([suite]) + subject.put() + identity.id + to
    header += struct.pack("<QI", len(plain), count)
    salt = draw("salt", 24)
    key, base, commitment = bulk(input_key, salt, header)
    sealed = [ChaCha20Poly1305(key).encrypt(nonce(base, at), record, b"") for at, record in enumerate(records)]
    chunks = [b"".join(sealed[at : at + RECORDS]) for at in range(0, len(sealed), RECORDS)]
    statement = header + salt + commitment + (b"\1" + tagged(SUITES[suite], enc) if enc else b"\0") + root_of(chunks)
    statement += b"\1" + next_package.put() if next_package else b"\0"
    return statement + identity.sign(b"starling v1 manifest", statement), chunks


class Peer:
    """A node and a coordinator at once, with one identity."""

    def __init__(self):
        self.identity = Identity()

    def begin(self, suite):
        self.suite, self.kem = suite, SUITES[suite]
        self.key = AgreementKey(self.kem, self.identity.id)
        return {"public": self.identity.public, "package": self.key.package.put()}

    # As a node.

    def presence(self):
        body = struct.pack("<QQQQ", 1, 2, 3, 4) + b"\0" + bytes(8) + self.key.package.put() + bytes(32) + b"\1"
        body += struct.pack("<IBH", 0, 0, 1)
        return {"presence": signed(self.identity, b"starling v1 presence", body)}

    def take_model(self, public, announcement, chunks):
        """Opens the model of an announcement, and answers with a receipt for it."""
        given = Input(body_of(public, b"starling v1 announce", announcement))
        tenant, run, round, epoch = given.take(16), given.take(16), given.number(4), given.number(8)
        given.take(8 + 8 + 8 + 8)
        if given.number(1) != 1:
            raise ValueError("no request to train")
        manifest = Manifest(given.rest())
        given = Input(manifest.rest)
        self.coordinator = manifest.sender
        self.subject = Subject(KINDS["update"], tenant, run, round, epoch, 1, bytes(16))
        roots = {}
        for _ in range(given.number(4)):
            member = given.take(32) + given.take(16)
            roots[member] = take_enc(self.kem, given), given.take(48)
        enc, sealed = roots[self.identity.id + self.key.package.nonce]
        shared = self.kem.decapsulate(self.key.secret, self.key.package.public, enc)
        about = info(b"starling v1 wrap", self.subject, manifest.sender, self.key.package)
        context = Context(self.kem, shared, about)
        plain = manifest.open(public, expand(context.open(sealed), b"starling v1 model", 32), chunks)
        self.key_of_update = context.export(b"starling v1 reply")
        return {"plain": plain, "receipt": self.receipt(manifest, context)}

    def make_update(self, plain):
        key, to = self.key_of_update, self.coordinator
        made = seal(self.identity, self.suite, self.subject, to, None, key, plain, self.key.package)
        return {"manifest": made[0], "chunks": made[1]}

    # As a coordinator.

    def announce(self, package, tenant, run, plain):
        """Wraps a root for a node and offers it a model."""
        package = Package.take(Input(package))
        subject = Subject(KINDS["model"], tenant, run, 3, 4, 1, bytes(16))
        root = draw("root", 32)
        enc, shared = self.kem.encapsulate(package.public)
        context = Context(self.kem, shared, info(b"starling v1 wrap", subject, self.identity.id, package))
        key = expand(root, b"starling v1 model", 32)
        manifest, chunks = seal(self.identity, self.suite, subject, None, None, key, plain, None)
        self.member = context
        body = tenant + run + struct.pack("<IQQQQQB", 3, 4, 4, 1, 5, 6, 1) + manifest
        body += struct.pack("<I", 1) + package.node + package.nonce + tagged(self.kem, enc) + context.seal(root)
        return {"announcement": signed(self.identity, b"starling v1 announce", body), "chunks": chunks}

    def take_sealed(self, public, manifest, chunks):
        """Opens what was sealed to this peer: an update to the coordinator, or records of a bridge to its key."""
        manifest, package = Manifest(manifest), self.key.package
        if manifest.recipient != self.identity.id or manifest.rest:
            raise ValueError("sealed to another")
        if manifest.to == 2:
            plain = manifest.open(public, self.member.export(b"starling v1 reply"), chunks)
            return {"plain": plain, "receipt": self.receipt(manifest, self.member)}
        shared = self.kem.decapsulate(self.key.secret, package.public, manifest.enc)
        context = Context(self.kem, shared, info(b"starling v1 update", manifest.subject, manifest.sender, package))
        plain = manifest.open(public, context.export(b"starling v1 update"), chunks)
        return {"plain": plain, "receipt": self.receipt(manifest, context)}

    # Of either.

    def receipt(self, manifest, context):
        """Number 7: all is here."""
        receipt = blake3.blake3(manifest.statement).digest() + struct.pack("<IB", 7, 3)
        pair = context.export(b"starling v1 receipt")
        return receipt + hmac.digest(pair, self.identity.id + receipt, "sha256")[:16]

    def check(self, public, label, message):
        try:
            return {"body": body_of(public, label, message)}
        except (InvalidSignature, ValueError):
            return {"body": b""}


def from_hex(value):
    if isinstance(value, list):
        return [bytes.fromhex(one) for one in value]
    return bytes.fromhex(value) if isinstance(value, str) else value


def to_hex(value):
    return [one.hex() for one in value] if isinstance(value, list) else value.hex()


def main():
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        do = getattr(peer, request.pop("do"))
        answer = do(**{name: from_hex(value) for name, value in request.items()})
        print(json.dumps({name: to_hex(value) for name, value in answer.items()}), flush=True)


if __name__ == "__main__":
    main()
