"""The ways in which an image boots, and what it needs for that."""

import functools
import http.server
import os
import re
import shutil
import threading
import time

from judge import PATIENCE, Failed, expect, media, pack
from lab import (LOGS, TEST, TREE, Built, ab, answers_at_last, check, command, fetched, knock, line_of, packaged, plugged,
                 serve, url_of, wire)


def took(boot):
    """The time to listening, as it was said."""
    total, cards, tables = boot.wait(
        r"ready: serving after (\d+) ms, (\d+) of them for cards, (\d+) for tables and pools").groups()
    return f"{total} ms from the first instruction to serving: {cards} for cards, {tables} for tables and pools"


@check(("pvh", None, None), *((f"{medium}-{firmware}", medium, firmware)
                              for medium in ("iso", "disk") for firmware in ("bios", "uefi")))
def answers_when_booted_by(start, medium, firmware):
    more = {}
    number = wire()
    if medium:
        stem = f"{medium}-{firmware}"
        pack(Built.image, LOGS, stem, line_of(number))
        more = {"kernel": False, "more": media(LOGS, stem, medium, firmware, Built.cache)}
    boot, url = serve(start, number=number, **more)
    if fetched(url + "/headers")[:4] != b"GET ":
        raise Failed("the answer is not what was asked for")
    return took(boot)


@check(("bios", "bios"), ("uefi", "uefi"))
def obeys_a_disk_that_was_edited_by(start, firmware):
    """As docs/operate.md has it: the partition's cmdline.txt is replaced, nothing is packed again."""
    number = wire()
    pack(Built.image, LOGS, f"edited-{firmware}", f"{TEST} ip=10.99.99.2/24 -- server")
    text = os.path.join(LOGS, f"edited-{firmware}.txt")
    with open(text, "w") as file:
        file.write(line_of(number, "maxcpus=1", "-k") + "\n")
    packaged("mcopy", "-o", "-i", os.path.join(LOGS, f"edited-{firmware}.img") + "@@1M", text, "::cmdline.txt")
    boot, url = serve(start, number=number, kernel=False, more=media(LOGS, f"edited-{firmware}", "disk", firmware, Built.cache))
    fetched(url + "/")
    expect(boot.text(), r"cores: 1 of 2", r"command line: .*maxcpus=1 -- server -k$")


@check()
def boots_by_the_entry_that_the_manual_has(start):
    """The menu entry of docs/operate.md, word for word but for the address, in a GRUB that has no other."""
    number = wire()
    with open(os.path.join(TREE, "docs/operate.md")) as manual:
        entry = re.search(r"^menuentry penstock \{\n.*?^\}\n", manual.read(), re.M | re.S)[0]
    pack(Built.image, LOGS, "manual", "")
    config = os.path.join(LOGS, "manual.cfg")
    with open(config, "w") as file:
        file.write("set timeout=0\n" + entry.replace("10.0.0.", f"10.82.{number}."))
    packaged("mcopy", "-o", "-i", os.path.join(LOGS, "manual.img") + "@@1M", config, "::grub.cfg")
    boot = start(card=plugged(number), cpus=2, kernel=False, more=media(LOGS, "manual", "disk", "bios", Built.cache))
    boot.wait("ready: serving")
    ab(url_of(number), 500, "-k")
    expect(boot.text(), rf"boot: Multiboot2, command line: ip=10.82.{number}.2/24 gateway=10.82.{number}.1 -- server -k$")


@check()
def answers_when_booted_over_its_own_network(start):
    """iPXE drives the card, reads the ISO over HTTP as a disk, and GRUB on it finds the image."""
    number = wire()
    pack(Built.image, LOGS, "network", line_of(number))
    folder = os.path.join(LOGS, "network")
    os.makedirs(folder, exist_ok=True)
    shutil.copyfile(os.path.join(LOGS, "network.iso"), os.path.join(folder, "penstock.iso"))
    script = os.path.join(folder, "boot.ipxe")
    with open(script, "w") as file:
        file.write(f"#!ipxe\nset scheme http:\nset net0/ip 10.82.{number}.2\nset net0/netmask 255.255.255.0\nifopen net0\n"
                   f"sanboot --no-describe ${{scheme}}//10.82.{number}.1:8000/penstock.iso\n")
    handler = functools.partial(Ranged, directory=folder)
    with Files((f"10.82.{number}.1", 8000), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        boot = start(card=plugged(number), cpus=2, kernel=False, more=[
            "-kernel", os.path.join(Built.cache, "guest/usr/lib/ipxe/ipxe.lkrn"), "-initrd", script])
        boot.wait("ready: serving")
        server.shutdown()
    answers_at_last(url_of(number))
    return took(boot)


class Files(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A machine whose firmware has done with the network says no goodbye."""


class Ranged(http.server.SimpleHTTPRequestHandler):
    """Files over HTTP, and pieces of them: a disk is not read from one end to the other."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(self.translate_path(self.path), "rb") as file:
            content = file.read()
        wanted = self.headers.get("Range")
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            piece = content[int(first):int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            piece = content
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(piece)))
        self.end_headers()
        self.wfile.write(piece)

    def log_message(self, *_):
        pass


@check()
def serves_on_what_a_newer_processor_has(start):
    boot, url = serve(start, more=["-cpu", "max"])
    ab(url, 2_000)
    expect(boot.text(), r"x2APIC", r"random: RDSEED and jitter")


@check(("8-mb-on-1-core", "8M", 1), ("16-mb", "16M", 2), ("64-mb", "64M", 2), ("1-gb", "1G", 2))
def serves_with(start, memory, cpus):
    boot, url = serve(start, memory=memory, cpus=cpus)
    ab(url, 2_000)
    return f"{boot.wait(r'stack: (.*)$')[1]}; {took(boot)}"


@check()
def is_ready_when_it_says_so(start):
    """Clients whose only SYN leaves when the line appears are answered. They are as many as may wait on a core until it has
    heard where Linux is."""
    number = wire()
    boot = start(line_of(number), card=plugged(number), cpus=4)
    station = boot.wait(r"nic eth0: .*?, ([0-9a-f:]{17}),")[1]
    # Nobody has to ask where it is.
    command("ip", "neigh", "replace", f"10.82.{number}.2", "lladdr", station, "dev", f"dut{number}", "nud", "permanent")
    deadline = time.monotonic() + PATIENCE
    while "ready: serving" not in boot.text() and time.monotonic() < deadline:
        time.sleep(0.0005)
    knock(number, 3)
    return took(boot)


@check()
def uses_fewer_cores_when_told(start):
    boot, url = serve(start, keys="maxcpus=1", cpus=4)
    ab(url, 2_000)
    expect(boot.text(), r"cores: 1 of 4", r"1 queues")


@check()
def takes_little_room_and_little_time(start):
    """The figures that bench/results.txt keeps, where they must not get worse unseen: of bytes less than the
    2 MiB that it may have, so that whoever adds much decides to."""
    said = command(os.path.join(TREE, "image/figures"), Built.image).decode()
    taken = {line.split()[0]: float(line.split()[1].rstrip(",")) for line in said.splitlines()}
    for name, most in (("bytes", 1_900_000), ("memory_mb", 16), ("boot_ms", 20)):
        if taken[name] > most:
            raise Failed(f"{name}: {taken[name]:.1f}, expected at most {most}")
    return "; ".join(said.strip().splitlines())
