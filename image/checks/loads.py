"""What a server is there for: many, and much."""

import hashlib
import os
import time

from judge import DONE, PATIENCE, Failed, expect
from lab import LOGS, ab, check, counted, downloads, fetched, serve, until, wrk


@check(("1-core", 1), ("2-cores", 2), ("4-cores", 4))
def serves_short_connections_on(start, cpus):
    _, url = serve(start, cpus=cpus)
    return f"{ab(url, 20_000):.0f}/s"


@check()
def serves_a_hundred_thousand_connections(start):
    """None fails, and neither side resets any."""
    boot, url = serve(start)
    rate = ab(url, 100_000)
    boot.qmp("system_powerdown")
    text = boot.end(DONE)
    resets = {name: counted(text, name) for name in ("TcpOutRsts", "TcpEstabResets")}
    if counted(text, "TcpPassiveOpens") < 100_000 or any(resets.values()):
        raise Failed(f"{counted(text, 'TcpPassiveOpens')} connections, resets: {resets}")
    return f"{rate:.0f}/s, no reset"


@check(("short", "", ["-H", "Connection: close"]), ("kept", "-k", []))
def serves_wrk(start, words, more):
    _, url = serve(start, words=words)
    return f"{wrk(url, 5, *more):.0f}/s"


@check()
def keeps_connections_alive(start):
    _, url = serve(start, words="-k", cpus=4)
    return f"{ab(url, 50_000, '-k'):.0f}/s"


@check()
def downloads_whole(start):
    _, url = serve(start)
    begin = time.monotonic()
    downloads(url, 100_000_000)
    return f"{100 / (time.monotonic() - begin):.0f} MB/s"


@check()
def uploads_whole(start):
    _, url = serve(start)
    content = os.urandom(1_000_000) * 100
    path = os.path.join(LOGS, "upload")
    with open(path, "wb") as file:
        file.write(content)
    begin = time.monotonic()
    echoed = fetched(f"{url}/echo", "--data-binary", "@" + path, "-H", "Expect:", seconds=3 * PATIENCE)
    os.unlink(path)
    if hashlib.sha256(echoed).digest() != hashlib.sha256(content).digest():
        raise Failed("100 MB came back changed")
    return f"{len(content) / 1e6 / (time.monotonic() - begin):.0f} MB/s each way"


@check()
def speaks_ipv6(start):
    boot, url = serve(start)
    url = url.replace("10.82.", "[fd00:82:").removesuffix(".2") + "::2]"
    expect(boot.text(), r"ip fd00:82:\d+::2/64")
    downloads(url, 1_000_000)
    return f"{ab(url, 5_000):.0f}/s"


@check()
def shows_itself_to_a_browser(start):
    """The page at /: what the machine is, and its cores at work, live; and the same for curl."""
    _, url = serve(start, cpus=4)
    page = fetched(url + "/", "-H", "Accept: text/html,*/*;q=0.8").decode()
    expect(page, r"<dt>card eth0</dt><dd>82599 at 0000:01:00.0", r"<dt>cores</dt><dd>4 of 4", r"<td>3</td><td><meter")
    ab(url, 1_000)
    # Each core draws its own page, once in a while: the next one may be older.
    pages = []
    until("the page has heard of a thousand connections", lambda: pages.append(accepted(url)) or pages[-1][-1] >= 1_000)
    *cores, total = pages[-1]
    if len(cores) != 4 or sum(cores) != total or not all(cores):
        raise Failed(f"accepted by cores: {cores}, by all: {total}")
    if fetched(url + "/") != b"Hello from Penstock.\n":
        raise Failed("who takes anything did not get the short answer")
    return f"accepted by cores: {cores}"


def accepted(url):
    """What each core has accepted, and all, as the page has it."""
    lines = fetched(url + "/status").decode().split("\ncore ", 1)[1].splitlines()[1:]
    return [int(line.split()[3]) for line in lines]


@check()
def rests_at_rest(start):
    boot, url = serve(start)
    fetched(url + "/")
    time.sleep(1)  # the time that is measured, not a wait for something
    begin, used = time.monotonic(), boot.processor_seconds()
    time.sleep(5)
    share = (boot.processor_seconds() - used) / (time.monotonic() - begin)
    if share > 0.10:
        raise Failed(f"uses {100 * share:.1f} % of a processor of the host")
    return f"{100 * share:.1f} % of one host processor"
