"""Decoders for a handful of link and application layer protocols, after capture by libpcap."""
from __future__ import annotations

import ipaddress
import struct
from typing import Any, NamedTuple


class Malformed(ValueError):
    """Bytes that are no frame of the protocol they claim to be."""


class Frame(NamedTuple):
    kind: str
    fields: dict[str, Any]
    payload: bytes


ETHERTYPES = {0x0800: "ipv4", 0x0806: "arp", 0x86DD: "ipv6", 0x8100: "vlan"}
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


def mac(raw: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in raw)


def dotted(raw: bytes) -> str:
    return ".".join(str(byte) for byte in raw)


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = 0
    for (word,) in struct.iter_unpack("!H", data):
        total += word
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def fletcher(data: bytes) -> int:
    low = high = 0
    for byte in data:
        low = (low + byte) % 255
        high = (high + low) % 255
    return high << 8 | low


def ethernet(data: bytes) -> Frame:
    if len(data) < 14:
        raise Malformed("ethernet: too short")
    target, source, kind = struct.unpack("!6s6sH", data[:14])
    if kind < 0x0600:
        raise Malformed("ethernet: 802.3 length field")
    fields = {"target": mac(target), "source": mac(source), "next": ETHERTYPES.get(kind, "?")}
    return Frame("ethernet", fields, data[14:])


def vlan(data: bytes) -> Frame:
    if len(data) < 4:
        raise Malformed("vlan: too short")
    tag, kind = struct.unpack("!HH", data[:4])
    fields = {"id": tag & 0x0FFF, "priority": tag >> 13, "next": ETHERTYPES.get(kind, "?")}
    return Frame("vlan", fields, data[4:])


def udp(data: bytes) -> Frame:
    if len(data) < 8:
        raise Malformed("udp: too short")
    source, target, length, check = struct.unpack("!HHHH", data[:8])
    if length < 8:
        raise Malformed("udp: length field below 8")
    fields = {"source": source, "target": target, "checksum": check}
    return Frame("udp", fields, data[8:])


def icmp(data: bytes) -> Frame:
    if len(data) < 8:
        raise Malformed("icmp: too short")
    kind, code, check, rest = struct.unpack("!BBHI", data[:8])
    if code > 15:
        raise Malformed("icmp: code field above 15")
    fields = {"kind": kind, "code": code, "checksum": check}
    return Frame("icmp", fields, data[8:])


def rtp(data: bytes) -> Frame:
    if len(data) < 12:
        raise Malformed("rtp: too short")
    first, second, number, stamp = struct.unpack("!BBHQ", data[:12])
    if not number:
        raise Malformed("rtp: sequence starts at one")
    fields = {"first": first, "stamp": stamp, "number": number}
    return Frame("rtp", fields, data[12:])


def ntp(data: bytes) -> Frame:
    if len(data) < 48:
        raise Malformed("ntp: too short")
    flags, stratum, delay, spread = struct.unpack("!BBxxII", data[:12])
    if delay < 1:
        raise Malformed("ntp: no root delay")
    fields = {"flags": flags, "stratum": stratum, "spread": spread}
    return Frame("ntp", fields, data[48:])


def tftp(data: bytes) -> Frame:
    if len(data) < 4:
        raise Malformed("tftp: too short")
    opcode, block, port, host = struct.unpack("!BBBB", data[:4])
    if port < 1:
        raise Malformed("tftp: no port")
    fields = {"opcode": opcode, "block": block, "host": host}
    return Frame("tftp", fields, data[4:])


def tcp(data: bytes) -> Frame:
    if len(data) < 20:
        raise Malformed("tcp: too short")
    source, target, number, acknowledged, bits = struct.unpack("!HHIIH", data[:14])
    offset = (bits >> 12) * 4
    if offset < 20 or offset > len(data):
        raise Malformed("tcp: data offset")
    names = ("fin", "syn", "rst", "psh", "ack", "urg")
    flags = [name for shift, name in enumerate(names) if bits >> shift & 1]
    fields = {"source": source, "target": target, "seq": number, "ack": acknowledged, "flags": flags}
    return Frame("tcp", fields, data[offset:])


def arp(data: bytes) -> Frame:
    if len(data) < 28:
        raise Malformed("arp: too short")
    hardware, protocol, sizes, operation = struct.unpack("!HHHH", data[:8])
    if sizes != 0x0604:
        raise Malformed("arp: neither ethernet nor ipv4")
    sender, target = data[8:18], data[18:28]
    fields = {
        "operation": "request" if operation == 1 else "reply",
        "sender": (mac(sender[:6]), dotted(sender[6:])),
        "target": (mac(target[:6]), dotted(target[6:])),
    }
    return Frame("arp", fields, data[28:])


def ipv4(data: bytes) -> Frame:
    if len(data) < 20:
        raise Malformed("ipv4: too short")
    size = (data[0] & 0x0F) * 4
    if checksum(data[:size]) != 0:
        raise Malformed("ipv4: checksum")
    fields = {
        "ttl": data[8],
        "next": PROTOCOLS.get(data[9], "?"),
        "source": ipaddress.ip_address(data[12:16]),
        "target": ipaddress.ip_address(data[16:20]),
    }
    return Frame("ipv4", fields, data[size:])


def dns_name(data: bytes, start: int) -> tuple[str, int]:
    labels = []
    position = start
    while data[position]:
        length = data[position]
        if length & 0xC0:
            pointer = int.from_bytes(data[position:position + 2], "big") & 0x3FFF
            tail, _ = dns_name(data, pointer)
            return ".".join([*labels, tail]), position + 2
        labels.append(data[position + 1:position + 1 + length].decode("ascii"))
        position += 1 + length
    return ".".join(labels), position + 1


def tlv_options(data: bytes) -> dict[int, bytes]:
    found = {}
    position = 0
    while position < len(data):
        kind, length = data[position], data[position + 1]
        if kind == 255:
            break
        found[kind] = data[position + 2:position + 2 + length]
        position += 2 + length
    return found


def lldp_parts(blob: bytes) -> dict[int, bytes]:
    parts = {}
    offset = 0
    while offset < len(blob):
        label, size = blob[offset], blob[offset + 1]
        if label == 0:
            break
        parts[label] = blob[offset + 2:offset + 2 + size]
        offset += 2 + size
    return parts


def radius_attributes(blob: bytes) -> dict[int, bytes]:
    found = {}
    position = 20
    while position < len(blob):
        kind, length = blob[position], blob[position + 1]
        if length == 0:
            break
        found[kind] = blob[position + 2:position + length]
        position += length
    return found


def hexdump(data: bytes, width: int = 16) -> str:
    lines = []
    for start in range(0, len(data), width):
        chunk = data[start:start + width]
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in chunk)
        lines.append(f"{start:08x}  {chunk.hex(' '):<{width * 3}} {text}")
    return "\n".join(lines)
