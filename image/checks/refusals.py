"""What it is told and cannot do: a line that says what, and an exit code."""

import os

from judge import REFUSED, Failed, expect, media, pack
from lab import LOGS, TEST, Built, check

LINES = {
    "an-unknown-key": ("ip=10.82.0.2/24 adress=1", r"error: adress=1: "),
    "a-wrong-address": ("ip=10.82.0.300/24", r"error: ip=10.82.0.300/24: expected"),
    "a-way-to-an-address-that-is-not-here": ("ip=rarp", r"error: ip=rarp: expected dhcp, auto6, off"),
    "an-unknown-application": ("ip=10.82.0.2/24 -- sever", r"error: sever: .*server"),
    "a-wrong-argument": ("ip=10.82.0.2/24 -- server -w 0", r"error: -w=?.*0: expected a number"),
    "more-workers-than-cores": ("ip=10.82.0.2/24 -- server -w 9", r"error: -w=?.*9: expected"),
    "a-worse-network": ("ip=10.82.0.2/24 fault=loss=1%", r"error: fault: expected nothing"),
    "a-driver-that-is-not-here": ("ip=10.82.0.2/24 nic.driver=virtio", r"error: nic.driver: expected ixgbe"),
    "a-card-that-is-not-there": ("ip=10.82.0.2/24 nic=00:1f.0",
                                 r"error: nic=0000:00:1f.0: expected a card that is there: 0000:01:00.0"),
    "a-wrong-option-of-the-kernel": ("ip=10.82.0.2/24 loglevel=9", r"error: loglevel=9: expected 0 to 7"),
}


@check(*((name, name) for name in LINES))
def refuses(start, name):
    line, sentence = LINES[name]
    expect(start(f"{TEST} {line}", card="--netdev=none").end(REFUSED), sentence)


@check()
def refuses_a_machine_without_a_card(start):
    expect(start(f"{TEST} ip=10.82.0.2/24").end(REFUSED), r"error: no network card that can be driven")


@check()
def refuses_more_cores_than_memory_has_room_for(start):
    text = start(f"{TEST} ip=10.82.0.2/24", card="--netdev=none", cpus=8, memory="24M").end(REFUSED)
    expect(text, r"error: memory: \d+ MiB are left for 8 cores: expected \d+; maxcpus= takes fewer")
