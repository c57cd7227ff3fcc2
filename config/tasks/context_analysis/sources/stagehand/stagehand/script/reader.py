import re

from .. import timecode
from ..errors import CueError, ShowError
from .cue import Cue
from .sheet import Sheet

HEAD = re.compile(r"Q(\d+(?:\.\d+)?)\s+(.*)")
SETTING = re.compile(r"(\w+)=([\d.]+)%?")


def settings(text, number):
    values = {}
    for name, value in SETTING.findall(text):
        values[name] = float(value) / 100 if float(value) > 1 else float(value)
    if not values:
        raise CueError(number, f"nothing is set by {text!r}")
    return values


def read(lines) -> Sheet:
    cues: list[Cue] = []
    for raw in lines:
        line = raw.split("#")[0].rstrip()
        if not line:
            continue
        head = HEAD.match(line)
        if head:
            cues.append(Cue(float(head[1]), head[2]))
            continue
        if not cues:
            raise ShowError(f"{line!r} stands before the first cue")
        cue = cues[-1]
        word, _, rest = line.strip().partition(" ")
        if word == "light":
            selector, _, values = rest.partition(":")
            cue.light[selector.strip()] = settings(values, cue.number)
        elif word == "sound":
            cue.sound.append(rest)
        elif word == "time":
            cue.seconds = timecode.parse(rest) if ":" in rest else float(rest)
        elif word == "follow":
            cue.follow = float(rest)
        elif word == "curve" and rest:
            cue.curve = rest
        else:
            raise CueError(cue.number, f"unknown line {line.strip()!r}")
    return Sheet(cues)
