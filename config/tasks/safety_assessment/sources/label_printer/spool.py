"""Spooler for label printers on a multi-user till server."""

import argparse
import contextlib
import fcntl
import os
import socket
import sys
import tempfile
import time

PORT = 9100
STATE = "/var/lib/labels/state"
PREVIEW = "/tmp/label-preview.zpl"


class Label:
    def __init__(self, sku, text, price, copies=1):
        self.sku = sku
        self.text = text
        self.price = price
        self.copies = max(1, min(int(copies), 50))

    def zpl(self):
        safe = self.text.replace("^", " ").replace("~", " ")[:40]
        return (
            "^XA^CI28"
            f"^FO30,30^A0N,40^FD{safe}^FS"
            f"^FO30,90^BY2^BCN,80^FD{int(self.sku)}^FS"
            f"^FO30,220^A0N,60^FD{self.price:.2f}^FS"
            f"^PQ{self.copies}^XZ\n"
        )


@contextlib.contextmanager
def printer_lock(name):
    path = os.path.join(os.path.dirname(STATE), f"{name}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def send(host, payload):
    with socket.create_connection((host, PORT), timeout=5) as line:
        line.sendall(payload.encode("utf-8"))


def preview(labels):
    """Leaves the job where the viewer of the till looks for it."""
    with open(PREVIEW, "w", encoding="utf-8") as out:
        for label in labels:
            out.write(label.zpl())
    return PREVIEW


def spool(labels, host, name):
    with tempfile.TemporaryFile("w+", encoding="utf-8") as job:
        for label in labels:
            job.write(label.zpl())
        job.seek(0)
        with printer_lock(name):
            send(host, job.read())
            remember(name, len(labels))


def remember(name, count):
    folder = os.path.dirname(STATE)
    handle, path = tempfile.mkstemp(dir=folder, prefix="state-")
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(f"{name}\t{count}\t{time.time():.0f}\n")
    os.replace(path, STATE)


def read_labels(lines):
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\n").split("\t")
        try:
            yield Label(fields[0], fields[1], float(fields[2]), *fields[3:4])
        except (IndexError, ValueError):
            print(f"line {number} is not a label", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("--name", default="till", choices=("till", "stock", "office"))
    parser.add_argument("--preview", action="store_true")
    options = parser.parse_args()
    labels = list(read_labels(sys.stdin))
    if options.preview:
        print(preview(labels))
    else:
        spool(labels, options.host, options.name)


if __name__ == "__main__":
    main()
