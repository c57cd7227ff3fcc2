"""Sign-in of the warehouse terminals against the directory, with an audit trail."""

from __future__ import annotations

import logging
import os
import ssl
import time
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler

from ldap3 import SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPBindError, LDAPException
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

audit = logging.getLogger("audit")
log = logging.getLogger(__name__)

BASE = "ou=people,dc=example,dc=org"
PAUSE = 1.5


@dataclass(frozen=True)
class Clerk:
    name: str
    groups: tuple[str, ...]

    def may(self, action: str) -> bool:
        return f"warehouse-{action}" in self.groups


def set_up(path: str) -> None:
    handler = RotatingFileHandler(path, maxBytes=5_000_000, backupCount=20, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    audit.addHandler(handler)
    audit.setLevel(logging.INFO)


def server() -> Server:
    tls = Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=os.environ["DIRECTORY_CA"])
    return Server(os.environ["DIRECTORY_HOST"], port=636, use_ssl=True, tls=tls)


def sign_in(terminal: str, user: str, password: str) -> Clerk | None:
    if not user or not password:
        return None
    name = f"uid={escape_rdn(user)},{BASE}"
    try:
        with Connection(server(), name, password, auto_bind=True, raise_exceptions=True) as directory:
            clerk = Clerk(user, groups(directory, user))
    except LDAPBindError:
        audit.info("terminal=%s user=%r refused", terminal, user)
        time.sleep(PAUSE)
        return None
    except LDAPException:
        log.exception("directory failed; terminal=%s user=%r credentials=%r", terminal, user, (name, password))
        return None
    audit.info("terminal=%s user=%r signed in", terminal, user)
    return clerk


def groups(directory: Connection, user: str) -> tuple[str, ...]:
    directory.search(
        search_base="ou=groups,dc=example,dc=org",
        search_filter=f"(&(objectClass=groupOfNames)(member=uid={escape_filter_chars(user)},{BASE}))",
        search_scope=SUBTREE,
        attributes=["cn"],
    )
    return tuple(sorted(str(entry.cn) for entry in directory.entries))


def change_password(terminal: str, user: str, old: str, new: str) -> bool:
    if len(new) < 12 or new == old:
        return False
    name = f"uid={escape_rdn(user)},{BASE}"
    try:
        with Connection(server(), name, old, auto_bind=True, raise_exceptions=True) as directory:
            done = directory.extend.standard.modify_password(name, old, new)
    except LDAPException as error:
        audit.info("terminal=%s user=%r password unchanged: %s", terminal, user, type(error).__name__)
        return False
    audit.info("terminal=%s user=%r password changed (%d characters)", terminal, user, len(new))
    return bool(done)
