"""Bad moments of the proxy's servers and clients: killed, or cut off while bytes are under way. What the console says of a
session is what HAProxy would have said."""

import contextlib
import hashlib
import os
import re
import signal
import socket
import subprocess
import time

from judge import DONE, Failed, expect
from lab import TEST, check, command, fetched, until, url_of, wire
from proxies import Backends
from services import ask, listens, proxy, redis


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


class Download:
    """A client that reads a file slowly enough to be in the middle of it for some seconds."""

    def __init__(self, number, source=None):
        words = ["curl", "-s", "--limit-rate", "300k", "--max-time", "60", f"{url_of(number)}/file"]
        words += ["--interface", source] if source else []
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        self.content = self.process.stdout.read(1)
        time.sleep(0.5)  # so that much is under way, at both sides of the proxy

    def end(self):
        """Its status, and all that it has got."""
        content, _ = self.process.communicate(timeout=60)
        return self.process.returncode, self.content + content


WEB = """
listen web
    bind :80
    timeout {side} 2s
    default-server inter 500ms fall 2 rise 2
    timeout check 1s
    server first {first}:9000 check
    server second {us}:9000 check backup
"""


@contextlib.contextmanager
def web(start, number, side):
    """Two web servers, the first of which is used and can be cut off; the machine, its address, and its file. One side may be
    silent for 2 s, the other for much longer."""
    first = at_home(number, 3)
    with Backends(number, 1), Backends(number, 1, first) as others:
        with open(f"{others.folder}/file", "rb") as file:
            content = file.read()
        until("both listen", lambda: listens(number, 9000) and connects_to(first, 9000))
        yield proxy(start, number, WEB.replace("{first}", first).replace("{side}", side)), first, content


def connects_to(address, port):
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


CUT_SHORT = 18  # curl: fewer bytes than were promised


@check()
def ends_a_transfer_whose_server_is_cut_off(start):
    """`sD` after `timeout server`; the backup serves whoever comes meanwhile, and the first again when it is back."""
    number = wire()
    with web(start, number, "server") as (boot, first, content):
        download = Download(number)
        with cut_off(first, f"10.82.{number}.2"):
            began = time.monotonic()
            status, got = download.end()
            if time.monotonic() - began > 15:
                raise Failed(f"it ended after {time.monotonic() - began:.0f} s")
            if status != CUT_SHORT or not content.startswith(got):
                raise Failed(f"curl ended with {status} after {len(got)} bytes")
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
    with web(start, number, "client") as (boot, _, _):
        client = at_home(number, 4)
        download = Download(number, client)
        with cut_off(client, f"10.82.{number}.2"):
            boot.wait(rf"{client}:\d+ \[.*\] web web/first \d+/\d+/\d+ \d+ cD 1/1/0/0/0 0/0$")
        download.process.kill()
        download.end()
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
        said = waiting.communicate(timeout=20)[0]
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
    """Three times without light, a third of a second each: what was under way arrives whole."""
    number = wire()
    with web(start, number, "server") as (boot, _, content):
        download = Download(number)
        for _ in range(3):
            boot.breaks("no-light")
            boot.wait(r"link down")
            time.sleep(0.3)
            boot.breaks("no-light=off")
            time.sleep(0.7)
        status, got = download.end()
        boot.qmp("system_powerdown")
        text = boot.end(DONE)
    if status or hashlib.sha256(got).digest() != hashlib.sha256(content).digest():
        raise Failed(f"curl ended with {status} after {len(got)} of {len(content)} bytes")
    if len(re.findall("link down", text)) < 3:
        raise Failed("the link was not down three times")
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
