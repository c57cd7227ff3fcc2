"""Runs maintenance commands on the vending machines of the fleet over SSH."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paramiko
import yaml

SERVICE_USER = "maintenance"
SERVICE_PASSWORD = "Vend0matic!example"
ACTIONS = {"restart": "systemctl restart vendor", "status": "systemctl is-active vendor", "logs": "tail -n 200"}


@dataclass(frozen=True)
class Machine:
    name: str
    host: str
    port: int = 22


class FleetError(RuntimeError):
    pass


def load_fleet(path: Path) -> dict[str, Machine]:
    entries = yaml.load(path.read_text("utf-8"), Loader=yaml.SafeLoader) or []
    return {entry["name"]: Machine(**entry) for entry in entries}


@contextmanager
def connection(machine: Machine) -> Iterator[paramiko.SSHClient]:
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(machine.host, machine.port, SERVICE_USER, SERVICE_PASSWORD, timeout=10, look_for_keys=False)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def depot(host: str, key: Path) -> Iterator[paramiko.SFTPClient]:
    """The depot's file server; its key is in the host file of the system."""
    client = paramiko.SSHClient()
    client.load_system_host_keys()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    client.connect(host, username="depot", key_filename=str(key), timeout=10)
    try:
        yield client.open_sftp()
    finally:
        client.close()


def perform(machine: Machine, action: str, argument: str = "") -> str:
    if action not in ACTIONS:
        raise FleetError(f"unknown action {action}; choose from {sorted(ACTIONS)}")
    command = ACTIONS[action]
    if argument:
        command += " " + shlex.quote(argument)
    with connection(machine) as client:
        _, stdout, stderr = client.exec_command(command, timeout=30)
        status = stdout.channel.recv_exit_status()
        if status:
            raise FleetError(f"{machine.name}: {stderr.read().decode(errors='replace').strip() or status}")
        return stdout.read().decode(errors="replace")


def collect(fleet: dict[str, Machine], action: str) -> dict[str, str]:
    answers = {}
    for name, machine in fleet.items():
        try:
            answers[name] = perform(machine, action).strip()
        except (FleetError, OSError, paramiko.SSHException) as error:
            answers[name] = f"error: {error}"
    return answers
