"""HAProxy's own configurations, and what our program says of one: for cfg-corpus and reg-test."""

import os
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
OURS = os.path.abspath(os.environ.get("PENSTOCK_HOST") or TARGET / "release/penstock-host")
ADDRESSES = {"addr": "127.0.0.1", "ip": "127.0.0.1"}


def source(folder=None):
    """The folder of HAProxy's source, and what it is called."""
    if folder:
        folder = pathlib.Path(folder)
        return folder, folder.resolve().name
    command = [ROOT / "qemu/packages", "source", "haproxy"]
    fetched = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    folder = sorted(pathlib.Path(fetched).glob("haproxy-*/"))[-1]
    package = sorted(pathlib.Path(fetched).glob("*.dsc"))[-1]
    return folder, f"Debian's {package.stem}"


def blocks(text):
    """The configurations of a regression test (VTC): `haproxy h1 -conf { .. }`, braces counted."""
    for found in re.finditer(r"^\s*haproxy\s+(\w+)\b[^\n{}]*?-conf(?:-OK)?\s*\{", text, re.M):
        depth, at = 1, found.end()
        while depth and at < len(text):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        yield found[1], text[found.end() : at - 1]


def filled(text, test):
    """What the test's runner would have put for its macros: addresses, ports, folders."""
    ports = {}

    def port(name):
        return str(ports.setdefault(name, 20000 + len(ports)))

    def macro(found):
        name = found[1]
        if name == "testdir":
            return str(test.parent)
        if name == "tmpdir":
            return tempfile.gettempdir()
        kind = name.rsplit("_", 1)[-1]
        if kind in ADDRESSES:
            return ADDRESSES[kind]
        return port(name) if kind == "port" else "" if name == "no-htx" else found[0]

    text = re.sub(r"fd@\$\{(\w+)\}", lambda found: "127.0.0.1:" + port(found[1]), text)
    return re.sub(r"\$\{([\w-]+)\}", macro, text)


def missing(text):
    """What we say is not supported yet, each once."""
    found = set()
    for line in text.splitlines():
        if "names a socket of an operating system" in line:
            found.add("unix sockets")
        # The notice behind them all names no keyword.
        if "supported yet" not in line or "conf.lenient" in line:
            continue
        line = re.sub(r"^\[\w+\] *\(\d+\) : (config : )?(parsing )?(\[[^]]*\] *:? *)?", "", line)
        for pattern, kind in (
            (r"keyword '([^']+)' in '(global|defaults|listen|frontend|backend|peers)' section", "{0}"),
            (r"'bind [^']*' in section '\w+' : '([^']+)'", "bind .. {0}"),
            (r"^section '([^']+)'", "section {0}"),
            (r"'mode http' is not", "mode http"),
            (r"mode http", "{all}"),
            (r"^'(server|bind)[^']*' : '([^']+)'", "{0} .. {1}"),
            (r"'(server|bind|default-server) [^']*' *: *'?([\w.-]+)'? ", "{0} .. {1}"),
            (r"(?:fetch method|fetch) '([\w.-]+)", "sample {0}"),
            (r"converter '([\w.-]+)", "converter {0}"),
            (r"(variables|scopes|maps|rings|logs over TCP|samples) are", "{0}"),
        ):
            match = re.search(pattern, line)
            if match:
                found.add(kind.format(*match.groups(), all=said(line)))
                break
        else:
            found.add(said(line))
    return found


def said(line):
    """The first word in quotes, which is what it is about."""
    match = re.search(r"'([^']+)'(?: : '([^']+)')?[^']*supported yet", line)
    return " .. ".join(filter(None, match.groups())) if match else line[:70]


def reason(text):
    """The first grave message, short."""
    for line in text.splitlines():
        if line.startswith("[ALERT]"):
            line = re.sub(r"^\[ALERT\] *\(\d+\) : (config : )?", "", line)
            line = re.sub(r"[^ '\[(]*/([\w.+-]+\.cfg)", r"\1", line)
            return line[:110]
    return ""
