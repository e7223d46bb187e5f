"""Small servers that are slow, wrong, or gone: for checks that real ones cannot play."""

import contextlib
import os
import socket
import struct
import threading


class Server:
    """A thread that answers datagrams at an address and a port, until its block ends."""

    def __init__(self, address, port, answer=None, device=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if device:
            # Others do the same on other devices.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        self.socket.bind((address, port))
        self.socket.settimeout(0.1)
        self.answer = answer
        self.heard = []
        self.is_over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while not self.is_over:
            with contextlib.suppress(TimeoutError):
                question, peer = self.socket.recvfrom(4096)
                self.heard.append(question)
                if self.answer:
                    self.answer(self, question, peer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.is_over = True
        self.thread.join()
        self.socket.close()


class Dhcp(Server):
    """A DHCP server whose leases last a few seconds, which dnsmasq has not."""

    def __init__(self, device, own, address, seconds):
        super().__init__("", 67, Dhcp.reply, device)
        self.own, self.given, self.seconds, self.is_silent = own, address, seconds, False

    def reply(self, question, _peer):
        if self.is_silent or len(question) < 241:
            return
        options, at = {}, 240
        while at + 1 < len(question) and question[at] != 255:
            if question[at] == 0:
                at += 1
                continue
            options[question[at]] = question[at + 2:at + 2 + question[at + 1]]
            at += 2 + question[at + 1]
        wanted = options.get(50) or question[12:16]
        kind = {b"\1": 2, b"\3": 5 if wanted == socket.inet_aton(self.given) else 6}.get(options.get(53))
        if kind is None:
            return
        answer = bytearray(question[:240])
        answer[0] = 2
        answer[16:20] = socket.inet_aton(self.given)
        answer += bytes([53, 1, kind, 54, 4]) + socket.inet_aton(self.own)
        if kind != 6:
            answer += bytes([51, 4]) + struct.pack("!I", self.seconds) + bytes([1, 4, 255, 255, 255, 0])
            answer += bytes([3, 4]) + socket.inet_aton(self.own)
        self.socket.sendto(bytes(answer) + b"\xff", ("255.255.255.255", 68))


class Liar(Server):
    """A name server that first says everything that must not be believed, and then the truth: over TCP
    only, if `over_tcp`."""

    def __init__(self, address, truth, over_tcp=False):
        super().__init__(address, 53, Liar.reply)
        self.truth, self.over_tcp, self.asked_over_tcp = truth, over_tcp, 0
        self.elsewhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.elsewhere.bind((address, 5353))
        self.listener = socket.create_server((address, 53))
        self.listener.settimeout(0.1)
        self.streams = threading.Thread(target=self.accept, daemon=True)

    def __enter__(self):
        self.streams.start()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.streams.join()
        self.listener.close()
        self.elsewhere.close()

    def right(self, question, truth):
        flags = question[:2] + b"\x81\x80" + question[4:6]
        if question[-4:-2] != b"\0\1":
            return flags + bytes(6) + question[12:]
        record = b"\xc0\x0c\0\1\0\1\0\0\0\3\0\4" + socket.inet_aton(truth)
        return flags + b"\0\1" + bytes(4) + question[12:] + record

    def reply(self, question, peer):
        lie = "10.82.0.66"
        good, wrong = self.right(question, self.truth), self.right(question, lie)
        head, name = good[:12], question[12:]
        lies = [
            bytes([question[0] ^ 1]) + wrong[1:],  # another question's
            wrong[:2] + question[2:4] + wrong[4:],  # a question
            head + bytes([name[0], name[1] ^ 1]) + name[2:] + wrong[12 + len(name):],  # another name
            head[:6] + b"\xff\xff" + head[8:] + name + b"\xc0\x2a" * 200,  # a name that leads nowhere
            head + b"\xc0\x0c\0\1\0\1",  # a name that is itself
            b"", wrong[:5], bytes(4000), os.urandom(500),
        ]
        self.elsewhere.sendto(wrong, peer)
        for each in lies:
            # Whatever repeats the question is the server's answer, true or not: these do not.
            if each[:2] != question[:2] or each[12:12 + len(name)] != name or not each[2:3] >= b"\x80":
                self.socket.sendto(each, peer)
        if self.over_tcp:
            self.socket.sendto(question[:2] + b"\x83\x80" + question[4:6] + bytes(6) + name, peer)
        else:
            self.socket.sendto(good, peer)

    def accept(self):
        while not self.is_over:
            with contextlib.suppress(TimeoutError, OSError):
                stream, _ = self.listener.accept()
                with stream:
                    stream.settimeout(5)
                    length = struct.unpack("!H", stream.recv(2))[0]
                    answer = self.right(stream.recv(length), self.truth)
                    self.asked_over_tcp += 1
                    # In pieces, as TCP may have it.
                    for byte in struct.pack("!H", len(answer)) + answer:
                        stream.sendall(bytes([byte]))
