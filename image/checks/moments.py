"""Bad moments of the proxy's servers and clients: killed, or cut off while bytes are under way. What the console says of a
session is what HAProxy would have said."""

import contextlib
import re
import signal
import socket
import subprocess
import threading
import time

from judge import DONE, PATIENCE, Failed, expect
from lab import check, command, fetched, until, url_of, wire
from proxies import Backends
from services import ask, proxy, redis


@contextlib.contextmanager
def cut_off(address, other):
    """Whatever Linux sends from one address to another goes nowhere; what it hears it hears."""
    rule = ["from", address, "to", other, "pref", "10", "blackhole"]
    command("ip", "rule", "add", *rule)
    try:
        yield
    finally:
        command("ip", "rule", "del", *rule)


def at_home(number, last):
    """Another address of Linux on that wire."""
    address = f"10.82.{number}.{last}"
    command("ip", "addr", "add", f"{address}/32", "dev", f"dut{number}")
    return address


class Download(threading.Thread):
    """A client that reads a file slowly enough to be in the middle of it for some seconds, and has read some of it."""

    def __init__(self, number, source=None):
        super().__init__(daemon=True)
        self.socket = socket.create_connection((f"10.82.{number}.2", 80), PATIENCE, (source or "", 0))
        self.socket.sendall(b"GET /file HTTP/1.0\r\n\r\n")
        self.answer, self.failure = b"", None
        self.start()
        until("a good part has come", lambda: len(self.answer) > 100_000 or not self.is_alive())

    def run(self):
        try:
            while piece := self.socket.recv(30_000):
                self.answer += piece
                time.sleep(0.1)  # the slowness, and no wait for something
        except OSError as failure:
            self.failure = failure

    def gives_up(self):
        # Whoever talks to it may have given it up before.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.join()
        self.socket.close()

    def end(self):
        """What it has got of the file when the connection has ended, which it does without an error."""
        self.join()
        self.socket.close()
        if self.failure:
            raise Failed(f"a download after {len(self.answer)} bytes: {self.failure}")
        return self.answer.partition(b"\r\n\r\n")[2]


WEB = """
listen web
    bind :80
    {timeout}
    default-server inter 500ms fall 2 rise 2
    timeout check 3s
    server first {first}:9000 check
    server second {us}:9000 check backup
"""


@contextlib.contextmanager
def web(start, number, timeout=""):
    """Two web servers, the first of which is used and can be cut off; the machine, its address, and its file. Each side may be
    silent for half a minute, but for what `timeout` says."""
    first = at_home(number, 3)
    with Backends(number, 1), Backends(number, 1, first) as others:
        with open(f"{others.folder}/file", "rb") as file:
            content = file.read()
        yield proxy(start, number, WEB.replace("{first}", first).replace("{timeout}", timeout)), first, content


@check()
def ends_a_transfer_whose_server_is_cut_off(start):
    """`sD` after `timeout server`; the backup serves whoever comes meanwhile, and the first again when it is back."""
    number = wire()
    with web(start, number, "timeout server 2s") as (boot, first, content):
        download = Download(number)
        with cut_off(first, f"10.82.{number}.2"):
            got = download.end()
            if got == content or not content.startswith(got):
                raise Failed(f"{len(got)} of {len(content)} bytes, and not the first of them")
            boot.wait(r" web web/first \d+/\d+/\d+ \d+ sD 1/1/0/0/0 0/0$")
            boot.wait(r"<1>Server web/first is DOWN, reason: Layer4 timeout")
            fetched(url_of(number) + "/")
            boot.wait(r" web web/second \d+/\d+/\d+ \d+ -- ")
        boot.wait(r"<5>Server web/first is UP, reason: Layer4 check passed")
        fetched(url_of(number) + "/")
        boot.wait(r" web/second [^$]* web web/first \d+/\d+/\d+ \d+ -- ")
    return f"{len(got)} of {len(content)} bytes, then the end"


@check()
def ends_a_transfer_whose_client_is_cut_off(start):
    """`cD` after `timeout client`, although the server has more to say."""
    number = wire()
    with web(start, number, "timeout client 2s") as (boot, _, _):
        client = at_home(number, 4)
        download = Download(number, client)
        with cut_off(client, f"10.82.{number}.2"):
            boot.wait(rf"{client}:\d+ \[.*\] web web/first \d+/\d+/\d+ \d+ cD 1/1/0/0/0 0/0$")
        download.gives_up()
        fetched(url_of(number) + "/")


@check()
def passes_on_the_end_of_a_server_that_is_killed(start):
    """Its last bytes arrive, then its end; before any check has found out, whoever comes goes to the backup."""
    number = wire()
    with redis(number, 6001) as first, redis(number, 6002):
        boot = proxy(start, number, """
listen redis
    bind :6379
    option redispatch 1
    retries 2
    default-server inter 60s
    server first {us}:6001 check
    server second {us}:6002 check
    balance first
""")
        waiting = subprocess.Popen(["redis-cli", "-h", f"10.82.{number}.2", "blpop", "never", "0"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        until("the first has two clients", lambda: int(re.search(
            r"blocked_clients:(\d+)", command("redis-cli", "-h", f"10.82.{number}.1", "-p", "6001", "info").decode())[1]))
        first.send_signal(signal.SIGKILL)
        said = waiting.communicate(timeout=PATIENCE)[0]
        if b"closed" not in said:
            raise Failed(f"the client of a server that was killed hears {said!r}")
        boot.wait(r" redis redis/first \d+/\d+/\d+ \d+ (?:--|SD) 1/1/0/0/0 0/0$")
        if ask(number, "ping") != "PONG":
            raise Failed("nobody answers a new client")
        boot.wait(r" redis redis/second \d+/\d+/\d+ \d+ -- 1/1/0/0/\+\d 0/0$")
        if "is DOWN" in boot.text():
            raise Failed("a check has found out first")


@check()
def keeps_sessions_while_its_link_flaps(start):
    """Three times without light until that was seen: what was under way arrives whole."""
    number = wire()
    with web(start, number) as (boot, _, content):
        download = Download(number)
        for flaps in (1, 2, 3):
            boot.breaks("no-light")
            boot.wait("[^$]*".join(["link down"] * flaps))
            boot.breaks("no-light=off")
            boot.wait("[^$]*".join(["link down", "link up"] * flaps))
        got = download.end()
        boot.qmp("system_powerdown")
        text = boot.end(DONE)
    if got != content:
        raise Failed(f"{len(got)} of {len(content)} bytes")
    expect(text, r" web web/first \d+/\d+/\d+ \d+ -- ")


@check()
def begins_without_its_servers(start):
    """A machine that boots, or is reset, while nobody is behind it says `SC`, and serves as soon as somebody is."""
    number = wire()
    boot = proxy(start, number, """
listen web
    bind :80
    retries 1
    default-server inter 300ms
    server a {us}:9000 check
""")
    for nth in (1, 2):
        boot.wait("[^$]*".join([r"Server web/a is DOWN, .*Connection refused"] * nth))
        with contextlib.suppress(Failed):
            fetched(url_of(number) + "/")
            raise AssertionError("served by nobody")
        boot.wait("[^$]*".join([r" web web/<NOSRV> -1/-1/\d+ 0 SC 1/1/0/0/0 0/0$"] * nth))
        if nth == 1:
            boot.qmp("system_reset")
    with Backends(number, 1):
        boot.wait(r"Server web/a is UP")
        if fetched(url_of(number) + "/") != b"a page behind the proxy\n":
            raise Failed("the answer is not the server's page")
