"""Names of members that refer to the same file for every program and system."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def plugin_member(place: int, file: str) -> str:
    """Name of a plugin file in an archive.

    Args:
        place: among the plugins of the settings.
    """
    return f"config/plugins/{place}_{PurePosixPath(file).name}"


def name_problem(name: str, most: int) -> str | None:
    """What is wrong with a member's name, or None.

    Args:
        most: bytes and characters that a name may have.
    """
    parts = name.split("/")
    if not name or len(name.encode("utf-8", "surrogatepass")) > most or name.startswith("/") or _FORBIDDEN.search(name):
        return "has a name that is absolute, too long, or holds characters that no file of this project has"
    if any(part in ("", ".", "..") or part[-1] in " ." or _DEVICE.fullmatch(part) for part in parts):
        return "leads out of the folder, or has a name that some systems read differently"
    if unicodedata.normalize("NFC", name) != name or any(unicodedata.category(sign) in _UNSEEN for sign in name):
        return "has a name that can be read in two ways"
    return None


def path_key(name: str) -> str:
    """A key that is equal for names that are one file on a system that ignores case or Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
