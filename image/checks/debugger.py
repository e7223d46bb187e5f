"""A hand on the machine: as much of GDB's remote protocol as it takes to lead a core astray."""

import os
import socket
import struct

from judge import PATIENCE, Failed


def wedge(path, image, core):
    """From here on, this core does nothing but jump to where it is. It must not be halted."""
    with Debugger(path) as debugger:
        at = behind_code(image)
        debugger.say(f"M{at:x},2:ebfe", "OK")
        debugger.say(f"Hg{core + 1:x}", "OK")
        debugger.say(f"P10={struct.pack('<Q', at).hex()}", "OK")


def behind_code(image):
    """The address of the unused bytes between the end of the code and the end of its last page."""
    with open(image, "rb") as file:
        elf = file.read()
    first, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    for at in range(first, first + count * size, size):
        kind, flags, _, start, _, _, length = struct.unpack_from("<IIQQQQQ", elf, at)
        if kind == 1 and flags & 1 and (start + length) % 4096 <= 4094:
            return start + length
    raise Failed("the image has no room behind its code")


class Debugger:
    """A connection to QEMU's stub; the machine stands still while there is one."""

    def __init__(self, path):
        self.channel = socket.socket(socket.AF_UNIX)
        self.channel.settimeout(PATIENCE)
        self.channel.connect(path)
        self.say("?")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.send("D")
        self.receive()
        self.channel.close()

    def say(self, packet, expected=None):
        self.send(packet)
        answer = self.receive()
        if expected not in (None, answer):
            raise Failed(f"QEMU's debugger answered {answer!r} to {packet!r}")

    def send(self, packet):
        data = packet.encode()
        self.channel.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xff))

    def receive(self):
        """The next packet, acknowledged."""
        said = b""
        while b"#" not in said[:-2]:
            more = self.channel.recv(4096)
            if not more:
                raise Failed("QEMU's debugger hung up")
            said += more
        self.channel.sendall(b"+")
        return said[said.index(b"$") + 1:said.rindex(b"#")].decode()
