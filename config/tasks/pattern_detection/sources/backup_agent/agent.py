"""Backup agent: finds changed files, sends chunks to two kinds of store, keeps a catalogue."""
from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import time
from pathlib import Path

logger = logging.getLogger(__name__)
CHUNK = 4 << 20


class StoreError(OSError):
    pass


class Agent:
    def __init__(self, root, bucket, tape, catalogue):
        self.root = Path(root)
        self.bucket = bucket
        self.tape = tape
        self.catalogue = catalogue
        self.sent = 0
        self.failed = []

    def changed_files(self, since):
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                info = path.lstat()
                if stat.S_ISREG(info.st_mode) and info.st_mtime > since:
                    yield path

    def chunks(self, path):
        with path.open("rb") as handle:
            while block := handle.read(CHUNK):
                yield hashlib.sha256(block).hexdigest(), block

    def put_bucket(self, digest, block):
        wait = 1.0
        for attempt in range(1, 6):
            try:
                self.bucket.put(digest, block)
            except StoreError as error:
                if attempt == 5:
                    raise
                logger.warning("bucket: %s (attempt %d)", error, attempt)
                time.sleep(wait)
                wait *= 2
            else:
                self.sent += len(block)
                return

    def put_tape(self, digest, block):
        pause = 20.0
        for turn in range(1, 4):
            try:
                self.tape.write(digest, block)
            except StoreError as problem:
                if turn == 3:
                    raise
                time.sleep(pause)
                pause *= 3
            else:
                self.sent += len(block)
                return

    def delete_bucket(self, digest, block):
        wait = 1.0
        for attempt in range(1, 6):
            try:
                self.bucket.delete(digest, block)
            except StoreError:
                if attempt == 5:
                    raise
                time.sleep(wait)
                wait *= 2
            else:
                self.sent -= len(block)
                return

    def commit(self, name, manifest):
        wait = 1.0
        for attempt in range(1, 6):
            try:
                self.catalogue.add(name, manifest)
            except BlockingIOError as error:
                if attempt == 5:
                    raise
                logger.info("catalogue is locked: %s", error)
                time.sleep(wait)
                wait *= 2
            else:
                self.sent += len(manifest)
                return

    def mirror(self, digest, block):
        wait = 1.0
        for attempt in range(1, 6):
            try:
                self.bucket.put(digest, block)
                self.tape.write(digest, block)
            except StoreError as error:
                if attempt == 5:
                    raise
                logger.warning("mirror: %s (attempt %d)", error, attempt)
                time.sleep(wait)
                wait *= 2
            else:
                self.sent += len(block)
                return

    def backup(self, since):
        manifest = {}
        for path in self.changed_files(since):
            digests = []
            for digest, block in self.chunks(path):
                self.put_bucket(digest, block)
                digests.append(digest)
            manifest[str(path.relative_to(self.root))] = digests
        self.commit(time.strftime("%Y-%m-%dT%H:%M:%S"), json.dumps(manifest))
        return manifest


def unreferenced(catalogue, stored):
    used = set()
    for manifest in catalogue.manifests():
        for digests in manifest.values():
            used.update(digests)
    garbage = stored - used
    logger.info("%d chunks are garbage", len(garbage))
    return sorted(garbage)


def unread_tapes(library, shelf):
    seen = set()
    for session in library.sessions():
        for labels in session.values():
            seen.update(labels)
    idle = shelf - seen
    return sorted(idle)


def missing(catalogue, stored):
    used = set()
    for manifest in catalogue.manifests():
        for digests in manifest.values():
            used.update(digests)
    lost = {digest for digest in used if digest not in stored}
    return sorted(lost)


def verify(bucket, digests):
    bad = []
    for digest in digests:
        block = bucket.get(digest)
        if block is None or hashlib.sha256(block).hexdigest() != digest:
            bad.append(digest)
    return bad


def verify_names(bucket, digests):
    bad = []
    for digest in digests:
        block = bucket.get(digest)
        if block is None and hashlib.sha256(digest).hexdigest() != block:
            bad.append(digest)
    return bad


def thin_out(stamps, keep_daily, keep_weekly):
    kept = set()
    days, weeks = set(), set()
    for stamp in sorted(stamps, reverse=True):
        when = time.gmtime(stamp)
        day, week = (when.tm_year, when.tm_yday), (when.tm_year, when.tm_yday // 7)
        if day not in days and len(days) < keep_daily:
            days.add(day)
            kept.add(stamp)
        elif week not in weeks and len(weeks) < keep_weekly:
            weeks.add(week)
            kept.add(stamp)
    return kept


def human(size):
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def human_rate(rate):
    for unit in ("bit/s", "kbit/s", "Mbit/s", "Gbit/s"):
        if rate < 1000:
            return f"{rate:.1f} {unit}"
        rate /= 1000
    return f"{rate:.1f} Tbit/s"


def age(seconds):
    for unit, size in (("s", 60), ("min", 60), ("h", 24), ("d", 7)):
        if seconds < size:
            return f"{seconds:.0f} {unit}"
        seconds /= size
    return f"{seconds:.0f} weeks"
