"""A Starling domain as Cyclone DDS joins it: the types of the project's IDL files, and the QoS that each topic wants.

`pip install cyclonedds` gets the Python package, with the library inside. The IDL files are the only place where the
types are written down: they all have one shape (leading fields of octets and numbers, then `sequence<octet> body`),
so a few lines read them. `idlc -l py` would make the same classes, where that compiler is installed.
"""

import os
import re
from pathlib import Path

try:
    import cyclonedds  # noqa: F401
except ImportError:
    raise SystemExit("python3 has no `cyclonedds`; `pip install cyclonedds` gets it") from None
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.idl import make_idl_struct
from cyclonedds.idl.annotations import final
from cyclonedds.idl.types import array, sequence, uint8, uint32
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

IDL = Path(__file__).resolve().parents[2] / "common" / "dds" / "idl"

# What is true now: reliable, and the last samples are kept for whoever joins late.
STATE = ("announce", "hello", "presence", "intake", "bridge", "relay")
# What happened: reliable, for those who are there.
MESSAGE = ("event", "certificate")
# Everything else is bulk: best effort, repaired by receipts.

# Fields as the IDL files have them, and as Python does.
FIELD = re.compile(r"^\s*(?:octet (?P<octets>\w+)\[(?P<count>\d+)\]|unsigned long (?P<number>\w+)"
                   r"|sequence<octet> (?P<body>body));\s*$")

CONFIG = """<CycloneDDS><Domain Id="any">
<General>
  <Interfaces><NetworkInterface {interface}/></Interfaces>
  <!-- A chunk of 49,200 bytes and its headers in one datagram. -->
  <MaxMessageSize>65500B</MaxMessageSize><FragmentSize>64000B</FragmentSize>
</General>
<Discovery>
  <!-- On a host without multicast, participants find each other at numbered ports. -->
  <ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>119</MaxAutoParticipantIndex>
  <Peers>{peers}</Peers>
</Discovery>
<Internal><SocketReceiveBufferSize min="default" max="8MB"/></Internal>
</Domain></CycloneDDS>"""


def idl_types(folder=IDL):
    """A class for each IDL file, by the name of its topic: `ModelChunk.idl` is the type of `model_chunk`."""
    types = {}
    for path in sorted(Path(folder).glob("*.idl")):
        lines = path.read_text().splitlines()
        name = next(line.split()[1] for line in lines if line.strip().startswith("struct "))
        fields = {}
        for found in filter(None, map(FIELD.match, lines)):
            if found["octets"]:
                fields[found["octets"]] = array[uint8, int(found["count"])]
            elif found["number"]:
                fields[found["number"]] = uint32
            else:
                fields["body"] = sequence[uint8]
        topic = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        types[topic] = final(make_idl_struct(name, f"starling::{name}", fields))
    if not types:
        raise SystemExit(f"no IDL files in {folder}")
    return types


def qos(topic):
    """What a reader or writer has to choose to be matched with the project's own, and to lose nothing."""
    if topic in STATE:
        return Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.Durability.TransientLocal,
                   Policy.History.KeepLast(1024))
    if topic in MESSAGE:
        return Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.Durability.Volatile,
                   Policy.History.KeepLast(1024))
    return Qos(Policy.Reliability.BestEffort, Policy.Durability.Volatile, Policy.History.KeepLast(256))


class Joined:
    """A place in a domain, and what is read and written there."""

    def __init__(self, domain, interface=None, peers=(), idl=IDL):
        """`CYCLONEDDS_URI` in the environment, if it is there, takes the place of interface and peers."""
        # Without an explicit domain the participant makes it, and reads the environment.
        self.domain = None
        if "CYCLONEDDS_URI" not in os.environ:
            where = f'address="{interface}"' if interface else 'autodetermine="true"'
            peers = [*peers, interface or "localhost"]
            peers = "".join(f'<Peer address="{peer}"/>' for peer in peers)
            self.domain = Domain(domain, CONFIG.format(interface=where, peers=peers))
        self.participant = DomainParticipant(domain)
        self.types = idl_types(idl)
        self.topics = {}

    def topic(self, name):
        if name not in self.topics:
            self.topics[name] = Topic(self.participant, name, self.types[name])
        return self.topics[name]

    def reader(self, name):
        return DataReader(self.participant, self.topic(name), qos=qos(name))

    def writer(self, name):
        """A writer of bulk keeps nothing for late joiners, like the project's own; see the manual's protocol page."""
        return DataWriter(self.participant, self.topic(name), qos=qos(name))


def samples(reader, most=128):
    """What has come in: samples with their bytes as `bytes`. Notices of a writer's end are left out."""
    for sample in reader.take(most):
        if sample.sample_info.valid_data:
            yield sample
