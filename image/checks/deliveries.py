"""Configurations as people have them, and each way in which one comes along (docs/configuration.md)."""

import contextlib
import glob
import os
import re
import shutil
import socket
import socketserver
import ssl
import threading

from judge import PATIENCE, Failed, expect, media, pack
from lab import LOGS, TEST, TREE, Built, check, command, connects, fetched, packaged, process, until, url_of, wire
from proxies import Backends
from services import plugged_of


def boots(start, number, complaints=(), **more):
    """A machine with a way to everybody, which serves, and complains of this and of nothing else."""
    boot = start(line_on(number), card=plugged_of(number), cpus=2, **more)
    boot.wait("ready: serving")
    said = re.findall(r"(?:warning|error): (.*)$", boot.text(), re.M)
    if said != list(complaints):
        raise Failed(f"complains of {said}, expected {list(complaints)}")
    return boot


def line_on(number):
    """The boot string of a proxy on that wire."""
    return f"{TEST} ip=10.82.{number}.2/24 gateway=10.82.{number}.1 -- proxy"


# What a server says first, by its port: what a check of the example takes for health, HTTP's where none is here.
GREETINGS = {10025: b"220 ", 5432: b"R\0\0\0\x08\0\0\0\0"}


class Greeter(socketserver.BaseRequestHandler):
    """Greets, says which address was reached, and agrees to whatever it hears of mail."""

    def handle(self):
        address, port = self.request.getsockname()
        with contextlib.suppress(OSError):
            self.request.sendall(GREETINGS.get(port, b"HTTP/1.0 200 OK\r\n\r\n") + address.encode() + b"\r\n")
            while self.request.recv(4096):
                if port == 10025:
                    self.request.sendall(b"250 so be it\r\n")


class Servers(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextlib.contextmanager
def played(*ports):
    """Greeters on these ports of every address that Linux has."""
    with contextlib.ExitStack() as stack:
        for port in ports:
            servers = stack.enter_context(Servers(("", port), Greeter))
            threading.Thread(target=servers.serve_forever, daemon=True).start()
            stack.callback(servers.shutdown)
        yield


def heard(number, port, first):
    """All that a client hears on this port that says this and nothing else."""
    with socket.create_connection((f"10.82.{number}.2", port), timeout=PATIENCE) as client:
        client.sendall(first)
        client.shutdown(socket.SHUT_WR)
        return client.makefile("rb").read().decode()


def hello(name):
    """How a client of TLS begins that wants this name."""
    sent = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


# Of an example: its servers, and the ports of those that are played (none: a real Redis); what a client says on each
# port, and what it hears.
EXAMPLES = {
    "mail": (("10.0.0.41", "10.0.0.42", "10.0.0.43", "10.0.0.44"), (10025, 10587, 10993),
             {25: (b"EHLO me\r\n", r"^220 10\.0\.0\.4[12]"), 587: (b"EHLO me\r\n", r"10\.0\.0\.4[12]$"),
              993: (b"a login\r\n", r"10\.0\.0\.4[34]$")}),
    "postgresql": (("10.0.0.21", "10.0.0.22", "10.0.0.23"), (5432, 8008),
                   {5432: (b"hello", r"10\.0\.0\.2[123]$"), 5433: (b"hello", r"10\.0\.0\.2[123]$")}),
    "redis": (("10.0.0.31", "10.0.0.32"), (), {6379: (b"PING\r\n", r"^\+PONG")}),
    "tcp-failover": (("10.0.0.11", "10.0.0.12"), (7000,), {7000: (b"hello", r"10\.0\.0\.1[12]$")}),
    "tls-by-sni": (("10.0.1.11", "10.0.1.12", "10.0.2.11", "10.0.3.11", "10.0.3.12"), (443,),
                   {443: (hello("mail.example.org"), r"10\.0\.2\.11$")}),
}


@check(*((os.path.basename(path).removesuffix(".cfg"), path) for path in sorted(glob.glob(f"{TREE}/examples/*.cfg"))))
def runs_the_example(start, path):
    """As it lies in the folder, with servers where it says: a client on each port reaches one of those behind it."""
    addresses, ports, clients = EXAMPLES[os.path.basename(path).removesuffix(".cfg")]
    number = wire()
    for address in addresses:
        command("ip", "addr", "add", f"{address}/32", "dev", f"dut{number}")
    with played(*ports) if ports else process("redis-server", "--bind", *addresses, "--save", "", "--protected-mode", "no"):
        # Redis has one port, and it is the one that its proxy has.
        until("the servers listen", lambda: all(connects(address, (ports or (6379,))[0]) for address in addresses))
        boot = boots(start, number, more=["-initrd", path])
        for port, (first, answer) in clients.items():
            expect(boot.text(), rf"proxy: (?:frontend|listen) \S+: .*\*:{port}\b.* -> .*\d servers?.*\d checked")
            said = heard(number, port, first).strip()
            if not re.search(answer, said):
                raise Failed(f"on port {port} a client hears {said!r}")
        text = boot.text()
        if "is DOWN" in text:
            raise Failed(f"a server that is well: {re.search(r'Server .* is DOWN.*', text)[0]}")
    return f"followed to a server from {len(clients)} ports"


DEBIAN = "/etc/haproxy/haproxy.cfg"


@check()
def runs_what_debian_ships(start):
    """The haproxy package's own configuration, with its error files, and one listener behind it."""
    if not os.path.exists(DEBIAN):
        raise Failed(f"missing: {DEBIAN}; install it with: apt-get install -y haproxy")
    changed = command("dpkg", "--verify", "haproxy").decode()
    if DEBIAN in changed:
        raise Failed(f"{DEBIAN} is not the package's any more; reinstall it")
    number = wire()
    with open(DEBIAN) as file:
        own = file.read()
    text = own + LISTENER.format(server=f"10.82.{number}.1")
    # HAProxy's own words, for a listener that says `mode tcp` below defaults that say `option httplog`.
    line = own[:own.index("httplog")].count("\n") + 1
    complaint = (f"config : parsing [haproxy.cfg:{line}] : 'option httplog' not usable with proxy 'web' (needs 'mode http')."
                 " Falling back to 'option tcplog'.")
    folder = files(f"debian{number}", text)
    shutil.copytree("/etc/haproxy/errors", f"{folder}/errors")
    serves_the_page(start, number, complaints=[complaint], more=["-initrd", archive(folder)])


LISTENER = """
listen web
    mode tcp
    bind :80
    balance roundrobin
    server web1 {server}:9000
"""
DEFAULTS = """
defaults
    timeout connect 5s
    timeout client 1m
    timeout server 1m
"""


@check(("an-archive", "archive"), ("fw-cfg", "fw_cfg"), ("the-disk", "disk"))
def takes_its_files_from(start, way):
    """A configuration whose server is a name, and the hosts file that knows the name."""
    number = wire()
    folder = files(f"{way}{number}", DEFAULTS + LISTENER.format(server="web1.example.org"))
    os.makedirs(f"{folder}/etc")
    with open(f"{folder}/etc/hosts", "w") as file:
        file.write(f"10.82.{number}.1 web1.example.org web1\n")
    if way == "archive":
        more = {"more": ["-initrd", archive(folder)]}
    elif way == "fw_cfg":
        more = {"more": [word for name in ("haproxy.cfg", "etc/hosts")
                         for word in ("-fw_cfg", f"name=opt/org.penstock/{name},file={folder}/{name}")]}
    else:
        pack(Built.image, LOGS, "delivered", line_on(number))
        partition = os.path.join(LOGS, "delivered.img") + "@@1M"
        packaged("mcopy", "-s", "-i", partition, folder, "::haproxy")
        more = {"kernel": False, "more": media(LOGS, "delivered", "disk", "bios", Built.cache)}
    serves_the_page(start, number, **more)


def serves_the_page(start, number, **more):
    with Backends(number, 1):
        boots(start, number, **more)
        if fetched(url_of(number) + "/") != b"a page behind the proxy\n":
            raise Failed("the answer is not the server's page")


def files(name, configuration):
    """A new folder with this configuration in it."""
    folder = os.path.join(LOGS, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(f"{folder}/haproxy.cfg", "w") as file:
        file.write(configuration)
    return folder


def archive(folder):
    """A newc archive of a folder, as cpio makes it."""
    names = command("find", ".", cwd=folder)
    packaged("busybox", "cpio", "-o", "-H", "newc", "-F", f"{folder}.cpio", cwd=folder, input=names)
    return f"{folder}.cpio"
