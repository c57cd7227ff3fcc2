"""Checkpoints of long simulations, kept in a bucket that other teams can write to as well."""

import dataclasses
import hashlib
import hmac
import io
import os
import pickle
import struct
import time

MAGIC = b"CKP2"
HEADER = struct.Struct(">4sQ32s")


class CheckpointError(Exception):
    pass


@dataclasses.dataclass
class State:
    step: int
    positions: list
    velocities: list
    seed: int
    notes: dict = dataclasses.field(default_factory=dict)


def _key():
    text = os.environ["CHECKPOINT_KEY"]
    key = bytes.fromhex(text)
    if len(key) < 32:
        raise CheckpointError("CHECKPOINT_KEY needs 32 bytes in hexadecimal")
    return key


def _tag(stamp, body):
    return hmac.new(_key(), MAGIC + struct.pack(">Q", stamp) + body, hashlib.sha256).digest()


def dumps(state):
    body = pickle.dumps(state, protocol=5)
    stamp = time.time_ns()
    return HEADER.pack(MAGIC, stamp, _tag(stamp, body)) + body


def loads(data):
    if len(data) < HEADER.size:
        raise CheckpointError("not a checkpoint: too short")
    magic, stamp, tag = HEADER.unpack_from(data)
    body = data[HEADER.size :]
    if magic != MAGIC or not hmac.compare_digest(tag, _tag(stamp, body)):
        raise CheckpointError("not a checkpoint of ours")
    state = pickle.loads(body)
    if not isinstance(state, State):
        raise CheckpointError(f"a {type(state).__name__} is not a state")
    return state


class Checkpoints:
    def __init__(self, bucket, prefix, keep=5):
        self.bucket = bucket
        self.prefix = prefix.rstrip("/")
        self.keep = keep

    def names(self):
        return sorted(item.key for item in self.bucket.objects.filter(Prefix=self.prefix + "/"))

    def save(self, state):
        name = f"{self.prefix}/{state.step:012d}.ckp"
        self.bucket.upload_fileobj(io.BytesIO(dumps(state)), name)
        for old in self.names()[: -self.keep]:
            self.bucket.Object(old).delete()
        return name

    def latest(self):
        """The newest checkpoint that can be read, or None."""
        for name in reversed(self.names()):
            target = io.BytesIO()
            self.bucket.download_fileobj(name, target)
            try:
                return loads(target.getvalue())
            except CheckpointError:
                continue
        return None


def resume(checkpoints, build, seed):
    state = checkpoints.latest()
    if state is None:
        state = build(seed)
    return dataclasses.replace(state, notes={**state.notes, "resumed": time.strftime("%F %T")})
