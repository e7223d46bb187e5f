"""Another image on the same disk: tried once, kept, taken back; and what a broken one costs."""

import os
import threading
import time

from judge import DONE, Failed, build, media, pack
from lab import LOGS, TREE, Built, answers_at_last, check, command, fetched, line_of, plugged, url_of, wire

UPGRADE = os.path.join(TREE, "image/upgrade")


def disk_of(stem, line):
    """A disk of its own, and what boots it: QEMU writes to it."""
    pack(Built.image, LOGS, stem, line)
    return os.path.join(LOGS, stem + ".img")


def boots(start, stem, firmware, number, suffix=""):
    more = [word.replace("snapshot=on,", "") for word in media(LOGS, stem, "disk", firmware, Built.cache)]
    return start(card=plugged(number), cpus=2, kernel=False, more=more, suffix=suffix)


def told(url):
    """The command line of whatever answers."""
    lines = fetched(url + "/status").decode().splitlines()
    return next(line.split(None, 2)[2] for line in lines if line.startswith("command line"))


def switched_off(boot):
    boot.qmp("system_powerdown")
    boot.end(DONE)


class Visitor(threading.Thread):
    """Asks all the time, and knows how long nobody answered."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.answered, self.gap, self.goes_on = url, None, 0, True
        self.start()

    def run(self):
        while self.goes_on:
            try:
                fetched(self.url + "/", "--connect-timeout", "0.2", seconds=1)
            except Exception:  # nobody there: that is what is measured
                continue
            now = time.monotonic()
            self.gap = max(self.gap, now - (self.answered or now))
            self.answered = now

    def result(self):
        self.goes_on = False
        self.join()
        return self.gap


@check()
def upgrades_and_goes_back(start):
    """As docs/operate.md has it: stop softly, put on trial, boot, keep; go back. The gap is what visitors see."""
    number = wire()
    url, old, new = url_of(number), line_of(number, words="-w 1"), line_of(number, words="-w 2")
    stem, firmware = "upgrades", "bios"
    disk = disk_of(stem, old)
    boot = boots(start, stem, firmware, number)
    boot.wait("ready: serving")
    visitor = Visitor(url)
    if told(url) != old:
        raise Failed(f"the first image was told {told(url)!r}")
    switched_off(boot)
    command(UPGRADE, disk, Built.image, f"--cmdline={new}")
    boot = boots(start, stem, firmware, number, "trial")
    boot.wait("ready: serving")
    answers_at_last(url)
    gap = visitor.result()
    for suffix, expected, then in (("trial", new, ()), ("after", old, ("--keep",)), ("kept", new, ("--back",)), ("back", old, ())):
        if suffix != "trial":
            boot = boots(start, stem, firmware, number, suffix)
            boot.wait("ready: serving")
        if told(url) != expected:
            raise Failed(f"{suffix}: told {told(url)!r}")
        switched_off(boot)
        if then:
            command(UPGRADE, disk, *then)
    return f"a gap of {gap * 1000:.0f} ms, soft stop and copying included"


@check(("bios", "bios"), ("uefi", "uefi"))
def falls_back_from_an_image_that_panics_by(start, firmware):
    """The trial panics, the machine resets itself, and the image before it serves and says why."""
    number = wire()
    stem = f"panics-{firmware}"
    disk = disk_of(stem, line_of(number))
    command(UPGRADE, disk, build("penstock-probe"), "--cmdline=panic=1 -- panic")
    boot = boots(start, stem, firmware, number)
    boot.wait("panic: core 1: as the command line asked")
    begin = time.monotonic()
    boot.wait(r"the last panic, before the reset:[^$]*ready: serving")
    answers_at_last(url_of(number))
    return f"{(time.monotonic() - begin) * 1000:.0f} ms from the panic, of which panic= is 1000"


@check(("bios", "bios"), ("uefi", "uefi"))
def falls_back_from_an_image_that_does_not_load_by(start, firmware):
    """A copy that was cut short; and one that was cut short when it was to be kept."""
    number = wire()
    stem = f"damaged-{firmware}"
    disk = disk_of(stem, line_of(number))
    damaged = os.path.join(LOGS, f"{stem}.elf")
    with open(Built.image, "rb") as image, open(damaged, "wb") as file:
        file.write(image.read(1000))
    command(UPGRADE, disk, damaged)
    begin = time.monotonic()
    boot = boots(start, stem, firmware, number)
    boot.wait("ready: serving")
    answers_at_last(url_of(number))
    seconds = time.monotonic() - begin
    switched_off(boot)
    command(UPGRADE, disk, damaged)
    command(UPGRADE, disk, "--keep")
    boot = boots(start, stem, firmware, number, "kept")
    boot.wait("ready: serving")
    answers_at_last(url_of(number))
    return f"{seconds * 1000:.0f} ms from power to the first answer"
