import socket
import struct


def messages(port=9944, limit=50):
    out = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        sock.bind(("", port))
        while len(out) < limit:
            try:
                data = sock.recv(64)
            except TimeoutError:
                break
            if len(data) == 6:
                line, stop, minutes = struct.unpack("!B4sB", data)
                out.append((line, stop.decode().strip(), minutes))
    return out
