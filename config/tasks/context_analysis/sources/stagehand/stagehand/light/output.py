import socket
import struct

from .rig import Rig

HEADER = b"Art-Net\x00" + struct.pack("<H", 0x5000) + struct.pack(">H", 14)


class Output:
    def __init__(self, rig: Rig, host="255.255.255.255", port=6454):
        self.rig = rig
        self.target = (host, port)
        self.sequence = 0
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

    def frames(self):
        universes = {}
        for fixture in self.rig.fixtures.values():
            data = universes.setdefault(fixture.universe, bytearray(512))
            for channel, value in fixture.channels():
                data[channel - 1] = value
        return universes

    def send(self):
        self.sequence = self.sequence % 255 + 1
        for universe, data in self.frames().items():
            packet = HEADER + struct.pack("<BBHxx", self.sequence, 0, universe - 1)
            self.sock.sendto(packet + bytes(data), self.target)
