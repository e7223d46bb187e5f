"""Debian's haproxy and penstock-host, asked about one configuration: what each says, and how far the
two agree."""

import difflib
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
OURS = os.path.abspath(os.environ.get("PENSTOCK_HOST", ROOT / "target/release/penstock-host"))
# What `${..}` in generated configurations stands for, and nothing of who runs this.
ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/root", "LANG": "C", "A": "abc"}


def fail(text):
    print(f"{pathlib.Path(sys.argv[0]).name}: {text}", file=sys.stderr)
    sys.exit(1)


def check():
    """Both are there, and haproxy is the reference."""
    try:
        version = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        fail("no haproxy; install it with: apt-get install -y haproxy")
    if not re.search(r"version 2\.6\.", version):
        fail(f"haproxy 2.6 is the reference, this is {version.splitlines()[0]}")
    if not os.access(OURS, os.X_OK):
        fail(f"{OURS} is not built: cargo build --release -p penstock-host")


def run(program, path, *more):
    """The exit code and what was said, without process numbers and notices."""
    path = pathlib.Path(path)
    done = subprocess.run(
        [program, "-c", "-f", path.name, *more], cwd=path.parent, capture_output=True, timeout=60, env=ENVIRONMENT
    )
    text = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    lines = []
    for line in re.sub(r"^(\[\w+\] +)\(\d+\)", r"\1(0)", text, flags=re.M).splitlines():
        if not line.startswith("[NOTICE]"):
            lines.append(line + "\n")
    return done.returncode, "".join(lines)


def theirs(path):
    return run("haproxy", path)


def ours(path):
    return run(OURS, path)


def accepts(code):
    """Whether it could run: 2 says that nothing listens."""
    return code in (0, 2)


def not_yet(line):
    """Refused by name, and not as a mistake."""
    return "supported yet" in line or "operating system, and there" in line


def place(line):
    """The number of the line that a message is about, if it names one."""
    found = re.search(r"\.cfg:(\d+)\]", line)
    return int(found[1]) if found else None


def differences(their_text, our_text):
    """Lines that only one says, with `-` for haproxy and `+` for us.

    Where we refuse a line by name, nothing is compared that was said about it, nor after all lines:
    haproxy went on and we could not."""
    their_lines, our_lines = their_text.splitlines(), our_text.splitlines()
    refused = {place(line) for line in our_lines if not_yet(line)}
    if refused:
        def compared(line):
            return "parsing [" in line and place(line) not in refused | {None}

        their_lines = [line for line in their_lines if compared(line)]
        our_lines = [line for line in our_lines if compared(line)]
    return [
        line
        for line in difflib.ndiff(their_lines, our_lines)
        if line[0] in "-+" and not any(known.search(line) for known in KNOWN)
    ]


# Where the two are known to differ in words, and will.
KNOWN = [
    # Regular expressions are PCRE's there, with its words about what is wrong with one.
    re.compile(r"regex '.*' is invalid"),
    # It says these as it fails to say something else.
    re.compile(r"\(null\)"),
    # Consequences.
    re.compile(r"(Fatal errors|Error\(s\)) found|^[-+] (\.|Warnings were found\.|Configuration file .*)$"),
]
