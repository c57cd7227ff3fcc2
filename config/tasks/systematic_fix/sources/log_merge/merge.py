"""Merges the log files of several hosts by time."""

import argparse
import bz2
import contextlib
import gzip
import heapq
import io
import re
import sys
from datetime import datetime

STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")
OPENERS = {".gz": gzip.open, ".bz2": bz2.open}


def open_log(path):
    for suffix, opener in OPENERS.items():
        if path.endswith(suffix):
            return opener(path, "rt", encoding="utf-8", errors="replace")
    return open(path, encoding="utf-8", errors="replace")


def entries(lines):
    """(time, text) of each entry; lines without a time belong to the entry before."""
    at, text = datetime.min, []
    for line in lines:
        match = STAMP.match(line)
        if match:
            if text:
                yield at, "".join(text)
            at, text = datetime.fromisoformat(match[1]), []
        text.append(line)
    if text:
        yield at, "".join(text)


def merge(paths, out):
    with contextlib.ExitStack() as stack:
        sources = [entries(stack.enter_context(open_log(path))) for path in paths]
        for _, text in heapq.merge(*sources):
            out.write(text)


def read_hosts(path):
    handle = open(path, encoding="ascii")
    hosts = [line.split("#")[0].strip() for line in handle]
    handle.close()
    return [host for host in hosts if host]


def first_stamp(path):
    for at, _ in entries(open(path, encoding="utf-8", errors="replace")):
        if at != datetime.min:
            return at
    return None


class Filter:
    def __init__(self, path=None):
        self.patterns = []
        if path is not None:
            with open(path, encoding="utf-8") as handle:
                self.patterns = [re.compile(line.strip()) for line in handle if line.strip()]

    def keeps(self, text):
        return not any(pattern.search(text) for pattern in self.patterns)

    def save(self, path):
        out = open(path, "w", encoding="utf-8")
        for pattern in self.patterns:
            print(pattern.pattern, file=out)
        out.close()


class Splitter:
    """One file per level; they stay open until close."""

    def __init__(self, prefix):
        self.prefix = prefix
        self.files = {}

    def write(self, text):
        level = next((word for word in ("ERROR", "WARN", "INFO") if word in text[:80]), "OTHER")
        if level not in self.files:
            self.files[level] = open(f"{self.prefix}.{level.lower()}", "w", encoding="utf-8")
        self.files[level].write(text)

    def close(self):
        for handle in self.files.values():
            handle.close()


def count_lines(data):
    buffer = io.BytesIO(data)
    return sum(1 for _ in buffer)


def tail(path, size=2000):
    handle = open(path, "rb")
    try:
        handle.seek(0, io.SEEK_END)
        handle.seek(max(0, handle.tell() - size))
        return handle.read()
    finally:
        handle.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("paths", nargs="+")
    merge(parser.parse_args().paths, sys.stdout)
