"""What it is told and cannot do: a line that says what, and an exit code."""

import os

from judge import REFUSED, expect, media, pack
from lab import LOGS, TEST, Built, check, packaged

LINES = {
    "an-unknown-key": ("ip=10.82.0.2/24 adress=1", r"error: adress=1: "),
    "a-wrong-address": ("ip=10.82.0.300/24", r"error: ip=10.82.0.300/24: expected"),
    "a-way-to-an-address-that-is-not-here": ("ip=rarp", r"error: ip=rarp: expected dhcp, auto6, off"),
    "an-unknown-application": ("ip=10.82.0.2/24 -- sever", r"error: -- sever: expected an application: server or proxy; did you mean server \?"),
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
    expect(text, r"error: memory: \d+ KiB are left for 8 cores: expected \d+; maxcpus= takes fewer")


FILES = {
    "too-long": (b"%s -- server " + b"a" * 5000, r"error: boot: the command line is longer than 4096 bytes"),
    "not-text": (b"%s -- server \xff\xfe", r"error: boot: the command line is not UTF-8"),
}


@check(*((name, name) for name in FILES))
def refuses_a_command_line_file(start, name):
    """What comes before the damage still says how to end."""
    content, sentence = FILES[name]
    stem = f"refused-{name}"
    pack(Built.image, LOGS, stem, "")
    path = os.path.join(LOGS, stem + ".txt")
    with open(path, "wb") as file:
        file.write(content.replace(b"%s", TEST.encode()))
    packaged("mcopy", "-o", "-i", os.path.join(LOGS, stem + ".img") + "@@1M", path, "::cmdline.txt")
    boot = start(kernel=False, card="--netdev=none", more=media(LOGS, stem, "disk", "bios", Built.cache))
    expect(boot.end(REFUSED), sentence)


@check(("too-large", 17 << 20, "256M", r"error: fw_cfg big.cfg: 17825792 bytes: expected at most 16 MiB"),
       ("larger-than-memory", 12 << 20, "16M", r"error: fw_cfg big.cfg: 12582912 bytes: expected"))
def refuses_a_file(start, size, memory, sentence):
    path = os.path.join(LOGS, f"big-{size}")
    with open(path, "wb") as file:
        file.truncate(size)
    more = ["-fw_cfg", f"name=opt/penstock/big.cfg,file={path}"]
    expect(start(f"{TEST} ip=10.82.0.2/24", card="--netdev=none", memory=memory, more=more).end(REFUSED), sentence)
