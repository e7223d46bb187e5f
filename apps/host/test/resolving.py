"""Servers whose names are asked for while the proxy runs: when one is taken out of use because its name leads
nowhere, for each reason there can be, and when it is back: as with haproxy."""

import socket
import struct
import threading

from lab import LINUX, wait_for
from twins import OWN_PORTS, compare

NAMES = """
resolvers mine
    nameserver ns {server_address}:{own}53
    resolve_retries 2
    timeout resolve 200ms
    timeout retry 1s
    hold nx 3s
    hold timeout 3s
    hold refused 3s
    hold other 3s
    hold obsolete 3s
listen l
    bind {address}:8301
    server a web.example:{port} resolvers mine init-addr none
""".replace("{server_address}", LINUX)
# The same with reasons held for so long that the script is over before.
PATIENT = NAMES.replace("3s", "1h")
# What a name server may say besides addresses: the code of its answer; None: nothing at all.
NX, REFUSED, FAILS, EMPTY, SILENT = 3, 5, 2, 0, None


class Zone(threading.Thread):
    """A name server with one name, which has the addresses `truth`, or what it says in place of them."""

    def __init__(self, port, truth):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((LINUX, port))
        self.truth, self.asked = truth, 0
        self.start()

    def run(self):
        while True:
            question, peer = self.socket.recvfrom(4096)
            if not question:
                return
            self.asked += 1
            answer = self.answer(question, self.truth)
            if answer:
                self.socket.sendto(answer, peer)

    def answer(self, question, truth):
        if truth is SILENT:
            return None
        end = question.index(b"\0", 12) + 5
        asks_v4 = question[end - 4:end - 2] == b"\0\1"
        found = truth if isinstance(truth, list) and asks_v4 else []
        code = truth if isinstance(truth, int) else 0
        record = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4"
        counts = struct.pack("!4H", 1, len(found), 0, 0)
        return (question[:2] + bytes([0x81, 0x80 | code]) + counts + question[12:end]
                + b"".join(record + socket.inet_aton(each) for each in found))

    def end(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self.socket.getsockname())
        self.join()
        self.socket.close()


def begin(twin):
    """Its name server, and what it says when it has the first answer."""
    zone = Zone(OWN_PORTS[twin.name] * 100 + 53, [LINUX])
    return zone, twin.logged(3)


def proxy_names_lost(lab):
    """A name that leads nowhere takes its server out, when that has lasted: as with haproxy."""

    def lost(twin, servers):
        zone, seen = begin(twin)
        for truth in (NX, REFUSED, FAILS, EMPTY, SILENT):
            zone.truth = truth
            seen += twin.logged(2)
            zone.truth = [LINUX]
            seen += twin.logged(3)
        zone.end()
        return seen

    def moved(twin, servers):
        zone, seen = begin(twin)
        zone.truth = ["10.82.0.77"]
        seen += twin.logged(1)
        zone.end()
        return seen

    def held(twin, servers):
        zone, seen = begin(twin)
        for truth in (NX, REFUSED, FAILS, EMPTY, SILENT):
            zone.truth, before = truth, zone.asked
            wait_for(lambda before=before: zone.asked > before + 3, "it asks again and again")
        client, server = twin.connect(8301), servers.accept()
        server.close()
        client.recv(1)
        client.close()
        seen += twin.said()
        zone.end()
        return seen

    lines = compare(lab, NAMES, lost) + compare(lab, NAMES, moved) + compare(lab, PATIENT, held)
    return f"5 reasons to leave, {lines} log lines alike"


ALL = [proxy_names_lost]
