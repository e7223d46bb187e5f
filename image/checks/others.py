"""For who has just cloned the tree, and for drivers that others wrote."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from judge import DONE, PATIENCE, Failed, expect, pack
from lab import (HTTP, LOGS, TEST, TREE, Built, ab, check, command, fetched, plugged, until, url_of,
                 wire)


@check()
def runs_for_who_has_just_cloned_the_tree(start):
    """`make run` behind passt, by somebody who may do nothing special; Ctrl-C ends all that it started."""
    log_path = os.path.join(LOGS, "make-run.log")
    # Whoever this is, as somebody else, who may do nothing that takes a capability.
    powerless = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    with open(log_path, "wb") as log:
        run = subprocess.Popen([*powerless, os.path.join(TREE, "image/run")], stdin=subprocess.DEVNULL, stdout=log,
                               stderr=log, start_new_session=True)
        try:
            deadline, said = time.monotonic() + PATIENCE, ""
            while "answered from the image" not in said:
                if run.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"did not say that it answered; log: {log_path}")
                time.sleep(0.1)
                with open(log_path, encoding="utf-8", errors="replace") as file:
                    said = file.read()
            fetched(HTTP + "127.0.0.1:8080/bytes/1000000")
            with open(f"/proc/{run.pid}/status") as status:
                expect(status.read(), r"^CapEff:\t0+$")
            # As a terminal does it: to everybody in the foreground.
            os.killpg(run.pid, signal.SIGINT)
            run.wait(PATIENCE)
            until("everything that it started has ended", lambda: not session(run.pid), 10)
        finally:
            if session(run.pid):
                os.killpg(run.pid, signal.SIGKILL)
    if "8080" in command("ss", "-tln").decode():
        raise Failed("something still listens on port 8080")


def session(leader):
    """Processes of a session."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{process}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] != "Z":
                found.append(int(process))
    return found


@check()
def serves_on_two_cards(start):
    """Each core has a queue pair of both, and each card its own address."""
    first, second = wire(), wire()
    line = (f"{TEST} ip=10.82.{first}.2:::255.255.255.0::eth0:off ip=10.82.{second}.2:::255.255.255.0::eth1:off"
            " -- server")
    boot = start(line, cpus=2, card=[plugged(first), plugged(second, "--mac=52:00:00:00:00:02")])
    boot.wait("ready: serving")
    expect(boot.text(), r"nic eth0: 82599 at 0000:01:00.0", r"nic eth1: 82599 at 0000:02:00.0")
    for number in (first, second):
        ab(url_of(number), 1_000)
    boot.qmp("system_powerdown")
    text = boot.end(DONE)
    for address in ("0000:01:00.0", "0000:02:00.0"):
        expect(text, rf"nic {address}: .*rx_queue_0_packets \d+.*rx_queue_1_packets \d+")


@check()
def carries_a_driver_by_others(start):
    """The unmodified `ixgbe-driver` of the registry, on our kernel and on the card: 10,000 frames each way."""
    number, count = wire(), 10_000
    boot = start(f"{TEST} watchdog=0", other_image=Built.foreign, card=plugged(number))
    boot.wait(r"foreign: link 10000 Mb/s, address \[52, 00, 00, 00, 00, 01\]")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)) as port:
        port.bind((f"dut{number}", 0x88b5))
        port.settimeout(5)
        own, seen, sent = b"\x02\0\0\0\0\x01", set(), 0
        while len(seen) < count:
            # A few at a time: neither side may overrun the other.
            for _ in range(min(32, count - sent)):
                port.send(bytes.fromhex("520000000001") + own + b"\x88\xb5" + sent.to_bytes(4, "big") * 100)
                sent += 1
            while len(seen) < sent:
                frame = port.recv(2048)
                if frame[:6] == own:
                    if frame[14:] != frame[14:18] * 100:
                        raise Failed("a frame came back changed")
                    seen.add(frame[14:18])
    expect(boot.end(DONE), rf"foreign: {count} frames in, {count} frames out")


@check()
def is_built_the_same_elsewhere(start):
    """From a copy of the tree in another folder: not a byte of image, disk or ISO differs."""
    with tempfile.TemporaryDirectory(prefix="penstock elsewhere.") as folder:
        copy = os.path.join(folder, "a longer", "path")
        shutil.copytree(TREE, copy, ignore=shutil.ignore_patterns("target", ".git", "__pycache__"))
        own = {**os.environ, "CARGO_TARGET_DIR": os.path.join(folder, "target"), "CARGO_NET_OFFLINE": "true",
               "PENSTOCK_CACHE": Built.cache}
        said = command(os.path.join(copy, ".ci/image"), "penstock-image", seconds=5 * PATIENCE, env=own)
        image = os.path.join(copy, said.decode().strip())
        same(Built.image, image)
        line, file = "ip=10.0.0.2/24 -- server", os.path.join(TREE, "README.md")
        pack(Built.image, LOGS, "here", line, file)
        command(os.path.join(copy, "image/package"), image, folder, f"--cmdline={line}", "--stem=here",
                f"--file={os.path.join(copy, 'README.md')}", env=own)
        for kind in ("img", "iso"):
            same(os.path.join(LOGS, f"here.{kind}"), os.path.join(folder, f"here.{kind}"))


def same(first, second):
    with open(first, "rb") as one, open(second, "rb") as other:
        if one.read() != other.read():
            raise Failed(f"built twice and different: {first}, {second}")
