"""A bad wire, a bad card, and bad people."""

import concurrent.futures
import re
import subprocess
import time

from judge import DONE, Failed
from lab import (AGAIN, ab, bytes_received, check, counted, downloads, fetched, frames_sent, knock, process, serve, until,
                 wire)


@check(("loss", "loss=1%"), ("reorder", "reorder=5%"), ("corruption", "corrupt=1%"),
       ("duplicates", "duplicate=5%"))
def endures(start, faults):
    _, url = serve(start, faults=faults)
    for _ in range(5):
        downloads(url, 300_000)


def interrupted(start, break_it, seen, mend_it, count=60_000_000):
    """A download in the middle of which something breaks, and mends when that was seen: it comes out whole. It has half a minute
    to break in, and is let go afterwards."""
    number = wire()
    boot, url = serve(start, number=number, faults="rate=16mbit")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        download = pool.submit(downloads, url, count)
        until("a megabyte has come", lambda: bytes_received(number) > 1_000_000 or download.done())
        if download.done():
            raise Failed("the download was over before anything broke")
        boot.breaks(break_it)
        boot.wait(seen)
        boot.breaks(f"{mend_it} rate=off")
        download.result()
    return boot, url


@check()
def goes_on_when_its_cable_is_pulled(start):
    """And plugged in again, in the middle of a download."""
    boot, url = interrupted(start, "no-light", "link down", "no-light=off")
    boot.wait("link up")
    ab(url, 200, at_once=5)


@check()
def goes_on_when_its_card_is_reset(start):
    """A transmitter that hangs in the middle of a download: the card is reset, the connection lives."""
    boot, url = interrupted(start, "tx-hang", r"was reset: ", "tx-hang=off")
    ab(url, 200, at_once=5)
    return re.search(r"was reset: (.*)", boot.text())[1]


@check()
def endures_a_link_that_flaps(start):
    boot, url = serve(start, faults="flap=2s")
    for flaps in (1, 2):
        fetched(url + "/", *AGAIN)
        boot.wait("[^$]*".join(["link down", "link up"] * flaps))
    fetched(url + "/", *AGAIN)


@check()
def endures_lost_interrupts(start):
    """Each core looks for itself twice a second, so that what is lost costs time and nothing else: a single SYN is answered,
    although nothing comes behind it that could wake anybody."""
    number = wire()
    _, url = serve(start, number=number, faults="lost-interrupt=2")
    worst = 0
    for _ in range(20):
        begin = time.monotonic()
        knock(number)
        worst = max(worst, time.monotonic() - begin)
        fetched(url + "/")
    return f"an answer to a SYN took {worst * 1000:.0f} ms at worst"


@check()
def stays_up_when_its_card_is_gone(start):
    """A card that hangs for good is reset again and again."""
    boot, url = serve(start, faults="tx-hang")
    try:
        fetched(url + "/", seconds=5)
    except (Failed, subprocess.TimeoutExpired):
        pass
    boot.wait(r"was reset: [^$]*was reset: ")
    if boot.process.poll() is not None:
        raise Failed("it went with its card")


@check()
def serves_honest_clients_beside_a_flood(start):
    """hping3 sends SYNs from random sources ten thousand a second; nobody answers for them."""
    number, count = wire(), 300
    boot, url = serve(start, keys=f"gateway=10.82.{number}.1 sysctl.net.ipv4.tcp_max_syn_backlog=1024", number=number)
    with process("hping3", "-i", "u100", "--rand-source", "-S", "-p", "80", "-q", f"10.82.{number}.2"):
        until("the flood arrives", lambda: frames_sent(number) > 5_000)
        begin = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            served = sum(pool.map(lambda _: is_served(url), range(count)))
        seconds = time.monotonic() - begin
    boot.qmp("system_powerdown")
    text = boot.end(DONE)
    cookies = counted(text, "TcpExtSyncookiesSent")
    if served < count * 0.99 or not cookies:
        raise Failed(f"{served} of {count} honest clients served, {cookies} cookies sent")
    return f"{served} of {count} in {seconds:.0f} s, beside {frames_sent(number)} frames and {cookies} cookies"


def is_served(url):
    try:
        fetched(url + "/")
    except (Failed, subprocess.TimeoutExpired):
        return False
    return True
