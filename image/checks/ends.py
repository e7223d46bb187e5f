"""How it ends, and comes back."""

import hashlib
import os
import subprocess
import tempfile
import time

from debugger import wedge
from judge import DONE, PATIENCE, Failed, expect
from lab import LOGS, Built, ab, answers_at_last, check, fetched, pattern_sum, plugged, serve, until, url_of, wire


@check()
def lets_who_is_served_finish(start):
    """The power button: nobody new as soon as each core has heard of it, but a download that runs comes out whole."""
    boot, url = serve(start)
    count = 30_000_000  # more than all that lies between a server and a client who does not read
    download = subprocess.Popen(["curl", "-sf", f"{url}/bytes/{count}"], stdout=subprocess.PIPE)
    first = download.stdout.read(1_000_000)
    boot.qmp("system_powerdown")
    boot.wait("power: button pressed: stopping")
    until("nobody new is let in", lambda: not is_let_in(url))
    rest = download.stdout.read()
    if hashlib.sha256(first + rest).hexdigest() != pattern_sum(count) or download.wait():
        raise Failed("the download was cut")
    boot.end(DONE)


def is_let_in(url):
    try:
        fetched(url + "/", seconds=5)
        return True
    except (Failed, subprocess.TimeoutExpired):
        return False


@check()
def switches_itself_off(start):
    """Without `exit=`, the power button ends in a machine that is off: QEMU ends by itself."""
    number = wire()
    boot = start(f"ip=10.82.{number}.2/24 -- server", card=plugged(number), cpus=2)
    boot.wait("ready: serving")
    fetched(url_of(number) + "/")
    boot.qmp("system_powerdown")
    expect(boot.end(0), r"machine: all cores are done")


@check()
def serves_again_after_a_reset(start):
    """The gap of a reset: to the first answer."""
    boot, url = serve(start)
    ab(url, 500)
    boot.qmp("system_reset")
    begin = time.monotonic()
    boot.wait(r"ready: serving[^$]*ready: serving")
    answers_at_last(url)
    gap = time.monotonic() - begin
    ab(url, 500)
    return f"a gap of {gap * 1000:.0f} ms"


@check()
def serves_again_after_a_power_cut(start):
    """In the middle of an upload: its client is told soon, and whoever asks next is served."""
    number = wire()
    boot, url = serve(start, number=number, faults="rate=16mbit")
    path = os.path.join(LOGS, "upload-cut")
    with open(path, "wb") as file:
        file.truncate(120_000_000)  # a minute's worth: it is the power that ends it
    upload = subprocess.Popen(["curl", "-sS", "-H", "Expect:", "-T", path, f"{url}/echo?"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    upload.stdout.read(100_000)
    boot.cut_power()
    begin = time.monotonic()
    again, url = serve(start, number=number, suffix="again")
    answers_at_last(url)
    gap = time.monotonic() - begin
    ab(url, 500)
    _, said = upload.communicate(timeout=PATIENCE)
    if b"reset" not in said:
        raise Failed(f"who was served when the power went heard {said.decode().strip()!r}")
    return f"a gap of {gap * 1000:.0f} ms; who was served was told within {time.monotonic() - begin:.1f} s"


@check(("1", 1), ("0", 0))
def notices_a_wedged_core(start, core):
    """A core that jumps to where it is, led there by a debugger: all stop, say where they were, and it starts again."""
    number = wire()
    with tempfile.TemporaryDirectory() as folder:
        stub = os.path.join(folder, "gdb")
        line = f"panic=1 idle=poll ip=10.82.{number}.2/24 -- server"
        boot = start(line, card=plugged(number), cpus=2, more=["-gdb", f"unix:{stub},server=on,wait=off"])
        boot.wait("ready: serving")
        fetched(url_of(number) + "/")
        wedge(stub, Built.image, core)
        boot.wait(rf"panic: core {1 - core}: core {core} has not turned for [1-9]\d{{3,}} ms")
        boot.wait(rf"^core {core} was at 0x[0-9a-f]+:$")
        boot.wait(r"the last panic, before the reset:[^$]*ready: serving")
        answers_at_last(url_of(number))
