"""For who has just cloned the tree, and for drivers that others wrote."""

import contextlib
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

from deliveries import Servers
from judge import DONE, LINES_KEPT, PATIENCE, Failed, expect, pack
from lab import (HTTP, LOGS, TEST, TREE, Built, ab, check, command, connects, fetched, plugged, process, until,
                 url_of, wire)


@check()
def runs_for_who_has_just_cloned_the_tree(start):
    """`make run` behind passt, by somebody who may do nothing special; Ctrl-C ends all that it started."""
    with ran("make-run.log", "answered from the image") as run:
        fetched(HTTP + "127.0.0.1:8080/bytes/1000000")
        with open(f"/proc/{run.pid}/status") as status:
            expect(status.read(), r"^CapEff:\t0+$")
        # As a terminal does it: to everybody in the foreground.
        os.killpg(run.pid, signal.SIGINT)
        run.wait(PATIENCE)
        until("everything that it started has ended", lambda: not session(run.pid))
    if "8080" in command("ss", "-tln").decode():
        raise Failed("something still listens on port 8080")


@check()
def runs_a_configuration_on_all_its_ports(start):
    """`make run CFG=`: each port that the file binds is carried, low ones 8000 higher; one in use is named."""
    with tempfile.TemporaryDirectory(prefix="penstock ") as folder:
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w") as file:
            file.write("defaults\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
                       "listen all\n bind :443,10.82.0.2:7007 name x\n bind *:80\n"
                       " server here 10.82.0.1:7008 check\n")
        behind = process(sys.executable, "-m", "http.server", "7008", "--bind", "127.0.0.1", cwd=folder)
        with behind:
            until("the server behind listens", lambda: connects("127.0.0.1", 7008))
            with ran("make-run-cfg.log", "ready: serving", CFG=path, PORT="8090"):
                for port in (8443, 7007, 8090):
                    expect(fetched(f"{HTTP}127.0.0.1:{port}/haproxy.cfg").decode(), "bind :443,10.82.0.2:7007 name x")
                beside = subprocess.run([os.path.join(TREE, "image/run")], env={**os.environ, "CFG": path}, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
                expect(beside.stdout, r"run: port 8443 is in use here")


@contextlib.contextmanager
def ran(log_name, text, **environment):
    """`make run` by somebody who may do nothing that takes a capability, once it has said `text`."""
    log_path = os.path.join(LOGS, log_name)
    # Whoever this is, as somebody else.
    powerless = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
    with open(log_path, "wb") as log:
        run = subprocess.Popen([*powerless, os.path.join(TREE, "image/run")], stdin=subprocess.DEVNULL, stdout=log,
                               stderr=log, start_new_session=True, env={**os.environ, **environment})
        try:
            deadline, said = time.monotonic() + PATIENCE, ""
            while text not in said:
                if run.poll() is not None or time.monotonic() > deadline:
                    raise Failed("\n".join([f"did not say {text!r}; {log_path} ends with", *said.splitlines()[-LINES_KEPT:]]))
                time.sleep(0.1)
                with open(log_path, encoding="utf-8", errors="replace") as file:
                    said = file.read()
            yield run
        finally:
            if session(run.pid):
                os.killpg(run.pid, signal.SIGKILL)


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


BY_CARD = """
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen first
    bind :80,:81 interface eth0
    option tcp-check
    tcp-check expect string 10.82.
    server far {far}:9000 source 0.0.0.0 interface eth1 check
listen second
    bind :80 interface eth1
    option tcp-check
    tcp-check expect string 10.82.
    server far {far}:9001 source 0.0.0.0 interface eth0 check
"""


class Witness(socketserver.BaseRequestHandler):
    """Says, and remembers, who reached which port."""
    heard = set()

    def handle(self):
        peer, port = self.client_address[0], self.server.server_address[1]
        self.heard.add((peer, port))
        with contextlib.suppress(OSError):
            self.request.sendall(peer.encode())


@check()
def keeps_to_the_cards_that_it_is_told(start):
    """`bind .. interface` and `source .. interface`: who comes in by one card is served by way of the other, and checked by it,
    although the server is behind the gateways of both."""
    first, second = wire(), wire()
    far = f"10.99.{first}.1"
    command("ip", "addr", "add", f"{far}/32", "dev", "lo")
    path = os.path.join(LOGS, "by-card.cfg")
    with open(path, "w") as file:
        file.write(BY_CARD.replace("{far}", far))
    ways = " ".join(f"ip=10.82.{number}.2::10.82.{number}.1:255.255.255.0::{name}:off"
                    for name, number in (("eth0", first), ("eth1", second)))
    with contextlib.ExitStack() as stack:
        for port in (9000, 9001):
            servers = stack.enter_context(Servers((far, port), Witness))
            threading.Thread(target=servers.serve_forever, daemon=True).start()
            stack.callback(servers.shutdown)
        boot = start(f"{TEST} {ways} -- proxy", cpus=2, more=["-initrd", path],
                     card=[plugged(first), plugged(second, "--mac=52:00:00:00:00:02")])
        boot.wait("ready: serving")
        expected = {(f"10.82.{second}.2", 9000), (f"10.82.{first}.2", 9001)}
        until("both are checked", lambda: len(Witness.heard) >= 2)
        for number, port, peer in ((first, 80, second), (first, 81, second), (second, 80, first)):
            with socket.create_connection((f"10.82.{number}.2", port), PATIENCE) as client:
                said = client.makefile().read()
            if said != f"10.82.{peer}.2":
                raise Failed(f"a client of 10.82.{number}.2:{port} is served from {said!r}")
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection((f"10.82.{second}.2", 81), PATIENCE).close()
            raise Failed("somebody came in by a card where nobody listens on port 81")
        if Witness.heard != expected:
            raise Failed(f"the servers were reached by {sorted(Witness.heard)}, expected {sorted(expected)}")


@check()
def carries_a_driver_by_others(start):
    """The unmodified `ixgbe-driver` of the registry, on our kernel and on the card: 10,000 frames each way."""
    number, count = wire(), 10_000
    boot = start(f"{TEST} watchdog=0", other_image=Built.foreign, card=plugged(number))
    boot.wait(r"foreign: link 10000 Mb/s, address \[52, 00, 00, 00, 00, 01\]")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5)) as port:
        port.bind((f"dut{number}", 0x88b5))
        port.settimeout(PATIENCE)
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
