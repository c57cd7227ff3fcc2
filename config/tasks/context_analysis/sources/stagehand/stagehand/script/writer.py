from . import sheet
from .. import timecode


def lines(cue):
    yield f"Q{cue.number:g} {cue.label}"
    for selector, values in cue.light.items():
        yield f"  light {selector}: " + " ".join(f"{n}={v * 100:.0f}%" for n, v in values.items())
    for path in cue.sound:
        yield f"  sound {path}"
    yield f"  time {timecode.show(cue.seconds)}"
    if cue.follow is not None:
        yield f"  follow {cue.follow:g}"


def write(script):
    if not isinstance(script, sheet.Sheet):
        raise TypeError("not a cue sheet")
    return "\n".join(line for cue in script.cues for line in lines(cue)) + "\n"
