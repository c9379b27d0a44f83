#!/usr/bin/env python3
"""Watches a run with Cyclone DDS: another vendor's DDS in the same domain, reading what everybody may read.

    pip install cyclonedds              # and `cryptography`, if signatures are to be checked
    python3 examples/watch/watch.py --interface 127.0.0.1
    python3 examples/watch/watch.py --roster c/roster --until-finished --json

Prints a line when a node, an announcement or the run changes, as text or (`--json`) as one JSON object a line.
Ends on SIGINT or SIGTERM, after `--seconds`, or with `--until-finished` when the run that it saw going on ends:
0 when it has a result, 1 when not. Nothing is written to the domain.

With `--roster` only messages of the coordinator and the nodes that it names are believed, and told with names; their signatures
are checked when Python has `cryptography`, and else the first line says that they are not. Models and updates are
sealed: a watcher sees how large they are, and nothing else.
"""

import argparse
import json
import signal
import sys
import time

# First, because it says how to get the package.
from domain import IDL, Joined, samples
from messages import Known, Malformed, can_check, open_signed

from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet
from cyclonedds.util import duration

# A node that is not heard for this long is away.
SILENCE_S = 3
# After a run's last announcement, for an event that is still on its way.
LAST_WORD_S = 2


def arguments():
    parser = argparse.ArgumentParser(description="Watches a run with Cyclone DDS.")
    parser.add_argument("--domain", type=int, default=0, help="DDS domain (0)")
    parser.add_argument("--interface", help="address of the interface to use; Cyclone DDS chooses one when not given")
    parser.add_argument("--peer", action="append", default=[], help="a host to look at where multicast does not reach")
    parser.add_argument("--roster", help="who belongs to the tenant: the coordinator's `roster`, which is believed")
    parser.add_argument("--idl", default=IDL, help="folder of the IDL files")
    parser.add_argument("--seconds", type=float, help="end after this long")
    parser.add_argument("--until-finished", action="store_true", help="end with the run")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


def known_of(options):
    """The keys on a roster: `coordinator KEY`, and `node NAME KEY LABEL...` a line."""
    known = Known()
    try:
        for line in open(options.roster) if options.roster else ():
            words = line.split()
            if words[:1] == ["coordinator"] and len(words) == 2:
                known.add(words[1], "coordinator")
            elif words[:1] == ["node"] and len(words) > 2:
                known.add(words[2], words[1])
    except (OSError, ValueError) as error:
        raise SystemExit(f"{options.roster}: {error}") from None
    return known


def short(value):
    """A value in a line: what a node does for its runs as `RUN/ACTIVITY/PERCENT`."""
    if not isinstance(value, list) or not isinstance(value[0], dict):
        return value
    return ",".join(f"{work['run'][:8]}/{work['activity']}/{work['progress']}" for work in value)


class Watch:
    """What was told so far, so that only changes are printed."""

    def __init__(self, options):
        self.options, self.known = options, known_of(options)
        self.nodes, self.heard, self.seen, self.going = {}, {}, {}, set()
        self.greeted, self.status, self.last_word = False, None, None

    def say(self, told, **fields):
        if self.options.json:
            print(json.dumps({"told": told, **fields}), flush=True)
        else:
            words = " ".join(f"{name}={short(value)}" for name, value in fields.items() if value not in (None, []))
            print(f"{told:12} {words}", flush=True)

    def take(self, topic, sample):
        try:
            signer, told = open_signed(topic, sample.body, self.known)
        except Malformed as error:
            self.say("ignored", topic=topic, reason=str(error))
            return
        getattr(self, f"on_{topic}")(signer, told)

    def on_hello(self, signer, told):
        """Only a sample shows that the pair is up: DDS matched us with all the coordinator's writers before."""
        if not self.greeted:
            self.greeted = True
            checks = "checked" if self.known.keys and can_check() else "not checked"
            self.say("watching", coordinator=self.known.name(signer), nodes=len(told["heard"]), signatures=checks)

    def on_presence(self, signer, told):
        # Numbers are microseconds; an old presence never replaces a new one.
        if told["seq"] <= self.nodes.get(signer, {"seq": -1})["seq"]:
            return
        before, self.nodes[signer], self.heard[signer] = self.nodes.get(signer), told, time.monotonic()
        shown = {name: told[name] for name in ("standing", "works", "drifted")}
        if before is None or any(before[name] != told[name] for name in ("session", *shown)):
            self.say("presence", node=self.known.name(signer), **shown)

    def on_announce(self, signer, told):
        if told["epoch"] <= self.seen.get(told["run"], -1):
            return
        self.seen[told["run"]] = told["epoch"]
        model = told.get("model", {})
        self.say("announcement", run=told["run"], round=told["round"], epoch=told["epoch"], request=told["request"],
                 deadline_ms=told["deadline_ms"], members=[self.known.name(node) for node in told.get("members", [])],
                 model_bytes=model.get("bytes"), chunks=model.get("chunks"))
        if told["request"] == "train":
            self.going.add(told["run"])
        elif told["run"] in self.going and self.last_word is None:
            self.status = 0 if told["request"] == "keep" else 1
            self.last_word = time.monotonic() + LAST_WORD_S

    def on_event(self, signer, told):
        fact, run = told.pop("fact"), told["run"]
        for name in ("node", "cohort"):
            if name in told:
                ids = told[name]
                told[name] = self.known.name(ids) if name == "node" else [self.known.name(node) for node in ids]
        self.say("event", fact=fact, **told)
        if fact == "round_opened":
            self.going.add(run)
        if fact in ("run_finished", "run_failed"):
            self.status, self.last_word = (0 if fact == "run_finished" else 1), time.monotonic()

    def tick(self):
        now = time.monotonic()
        for node in [node for node, heard in self.heard.items() if now - heard > SILENCE_S]:
            del self.heard[node], self.nodes[node]
            self.say("presence", node=self.known.name(node), standing="away", works=[], drifted=None)
        return self.options.until_finished and self.last_word is not None and now >= self.last_word


def main():
    options = arguments()
    watch = Watch(options)
    stop = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.append(True))
    joined = Joined(options.domain, options.interface, options.peer, options.idl)
    # The hello's reader is the last: when a hello comes, the coordinator knows the other readers as well.
    readers = {topic: joined.reader(topic) for topic in ("event", "announce", "presence", "hello")}
    waiting = WaitSet(joined.participant)
    for reader in readers.values():
        waiting.attach(ReadCondition(reader, SampleState.NotRead | ViewState.Any | InstanceState.Any))
    until = time.monotonic() + options.seconds if options.seconds else None
    while not stop and (until is None or time.monotonic() < until):
        # Python looks at signals between calls only.
        waiting.wait(duration(milliseconds=100))
        for topic, reader in readers.items():
            for sample in samples(reader):
                watch.take(topic, sample)
        if watch.tick():
            return watch.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
