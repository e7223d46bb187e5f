"""What the checks of the appliance have in common: a wire with Linux at its other end, and its clients."""

import contextlib
import hashlib
import itertools
import os
import re
import socket
import struct
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TREE, "qemu"))
from judge import PATIENCE, TARGET, Failed, expect, registry  # noqa: E402

LOGS = os.path.join(TARGET, "image-test")
TEST = "panic=-1 exit=debug"
HTTP = "http:" + "//"  # in two, because a tree may name few hosts, and these are ours
CHECKS, check = registry()
NUMBERS = itertools.count(1)


class Built:
    """What was built before the first check, and where the packages are."""
    cache = image = foreign = None


def command(*words, seconds=PATIENCE, **more):
    """What a program says, when it ends well."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, **more)
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()
        raise Failed(f"{' '.join(words)} ended with {done.returncode}: {' | '.join(said[-3:])}")
    return done.stdout


def packaged(*words, **more):
    """What a program of the packages says."""
    return command(os.path.join(TREE, "qemu/packages"), "run", *words, **more)


@contextlib.contextmanager
def process(*words, **more):
    """A program that runs for as long as it is needed."""
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        yield running
    finally:
        running.terminate()
        running.wait()


def until(what, holds, seconds=PATIENCE):
    """Waits until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.05)


def connects(address, port):
    """Whether a client gets through, who may have to ask twice as TCP does."""
    with socket.socket() as client:
        client.settimeout(10)
        return client.connect_ex((address, port)) == 0


def wire():
    """A TAP device with a network of its own; the number of both."""
    number = next(NUMBERS)
    device = f"dut{number}"
    command("ip", "tuntap", "add", "dev", device, "mode", "tap", "multi_queue")
    command("ip", "addr", "add", f"10.82.{number}.1/24", "dev", device)
    command("ip", "-6", "addr", "add", f"fd00:82:{number}::1/64", "dev", device, "nodad")
    command("ip", "link", "set", device, "up")
    return number


def plugged(number, *options):
    """Options of the card that make that wire its own."""
    return " ".join((f"--netdev=tap,ifname=dut{number},queues=4", *options))


def line_of(number, keys="", words=""):
    """The boot string of a server on that wire."""
    return f"{TEST} ip=10.82.{number}.2/24 ip=fd00:82:{number}::2/64 {keys} -- server {words}"


def url_of(number):
    return f"{HTTP}10.82.{number}.2"


def serve(start, keys="", words="", faults="", number=None, **more):
    """A machine that serves, and the address that it serves at."""
    number = number or wire()
    card = plugged(number, *([f"--fault={faults}"] if faults else []))
    boot = start(line_of(number, keys, words), card=card, **{"cpus": 2, **more})
    boot.wait("ready: serving")
    return boot, url_of(number)


def fetched(url, *words, seconds=PATIENCE):
    return command("curl", "-sSfg", "--max-time", str(int(seconds)), *words, url, seconds=seconds + 5)


def answers_at_last(url):
    """Asks until there is an answer."""
    fetched(url + "/", *AGAIN, "--connect-timeout", "1")


# Of curl: whatever goes wrong, it asks again soon.
AGAIN = ["--retry", "1000", "--retry-delay", "1", "--retry-all-errors", "--retry-max-time", str(int(PATIENCE))]


def knock(number, count=1):
    """That many clients of port 80, each of whom sends one SYN and never another, are answered. Linux's own stack, which knows
    nothing of them, takes their leave by a reset."""
    here, there = f"10.82.{number}.1", f"10.82.{number}.2"
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as wire_end:
        wire_end.bind((here, 0))
        wire_end.settimeout(PATIENCE)
        clients = {next(PORTS) for _ in range(count)}
        for client in clients:
            wire_end.sendto(syn(here, there, client, 80), (there, 0))
        while clients:
            try:
                segment = wire_end.recv(4096)[20:]
            except TimeoutError:
                raise Failed(f"{len(clients)} of {count} SYN are not answered within {PATIENCE:.0f} s") from None
            port, client, flags = *struct.unpack_from("!HH", segment), segment[13]
            if port == 80 and flags & 0x12 == 0x12:
                clients.discard(client)


PORTS = itertools.count(10_000)  # below those that Linux gives out


def syn(here, there, client, port):
    """The bytes of a SYN without options."""
    segment = struct.pack("!HHIIBBHHH", client, port, 1, 0, 0x50, 0x02, 65535, 0, 0)
    covered = socket.inet_aton(here) + socket.inet_aton(there) + struct.pack("!HH", 6, len(segment)) + segment
    total = sum(struct.unpack(f"!{len(covered) // 2}H", covered))
    total = (total & 0xffff) + (total >> 16)
    return segment[:16] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + segment[18:]


def ab(url, requests, *words, at_once=50):
    """Requests per second of ab, when none failed: it stops at the first reset by itself."""
    said = command("ab", "-q", "-s", str(int(PATIENCE)), "-n", str(requests), "-c", str(at_once), *words, url + "/",
                   seconds=4 * PATIENCE).decode()
    expect(said, rf"Complete requests: +{requests}$", r"Failed requests: +0$")
    if "Non-2xx" in said:
        raise Failed("answers that were not 200")
    return float(re.search(r"Requests per second: +([\d.]+)", said)[1])


def wrk(url, seconds, *words, at_once=50):
    """Requests per second of wrk, when no connection failed."""
    said = command("wrk", "-t", "1", "-c", str(at_once), "-d", f"{seconds}s", "--timeout", f"{PATIENCE:.0f}s", *words, url + "/",
                   seconds=4 * PATIENCE).decode()
    if "Socket errors" in said or "Non-2xx" in said:
        raise Failed(f"wrk: {' | '.join(said.strip().splitlines()[-4:])}")
    return float(re.search(r"Requests/sec: +([\d.]+)", said)[1])


def pattern_sum(count):
    """The SHA-256 of the first bytes of the demo server's pattern."""
    block = bytes((at * 2654435761 & 0xffffffff) >> 24 for at in range(65521))
    digest = hashlib.sha256()
    for _ in range(count // len(block)):
        digest.update(block)
    digest.update(block[:count % len(block)])
    return digest.hexdigest()


def downloads(url, count, *words, seconds=3 * PATIENCE):
    """Fetches so many bytes of the pattern, which arrive as they should."""
    if hashlib.sha256(fetched(f"{url}/bytes/{count}", *words, seconds=seconds)).hexdigest() != pattern_sum(count):
        raise Failed(f"{count} bytes came out changed")


def counted(text, name):
    """The sum of a counter over all cores, or of a card, from what was said at the end."""
    return sum(map(int, re.findall(rf" {name} (\d+)", text)))


def bytes_received(number):
    """What Linux has received from a wire."""
    return device(number)[0]


def frames_sent(number):
    """What Linux has sent on it."""
    return device(number)[9]


def device(number):
    with open("/proc/net/dev") as devices:
        line = next(line for line in devices if line.strip().startswith(f"dut{number}:"))
    return [int(word) for word in line.split(":")[1].split()]
