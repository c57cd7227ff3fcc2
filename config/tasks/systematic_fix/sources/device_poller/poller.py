"""Polls meters over serial lines and TCP and hands readings to a sink."""

import contextlib
import queue
import socket
import struct
import sys
import threading
import time
import traceback


class Meter:
    def __init__(self, host, port=502, unit=1):
        self.address = (host, port)
        self.unit = unit
        self.sock = None

    def connect(self):
        self.close()
        try:
            self.sock = socket.create_connection(self.address, timeout=3)
        except OSError as error:
            raise ConnectionError(f"meter {self.address[0]} does not answer") from error

    def close(self):
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.close()
            self.sock = None

    def read(self, register):
        request = struct.pack(">HHHBBHH", 1, 0, 6, self.unit, 3, register, 2)
        try:
            self.sock.sendall(request)
            reply = self.sock.recv(64)
            return struct.unpack(">f", reply[9:13])[0]
        except:
            self.close()
            return None


class Poller(threading.Thread):
    def __init__(self, meters, sink, pause=5.0):
        super().__init__(daemon=True)
        self.meters = meters
        self.sink = sink
        self.pause = pause
        self.errors = queue.Queue(maxsize=100)
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.pause):
            for name, meter in self.meters.items():
                try:
                    self.sink.put((time.time(), name, meter.read(0x10)))
                except Exception:
                    self.note(traceback.format_exc(limit=2))

    def note(self, text):
        try:
            self.errors.put_nowait(text)
        except queue.Full:
            self.errors.get_nowait()
            self.errors.put_nowait(text)

    def restart(self, name):
        meter = self.meters[name]
        try:
            meter.close()
            meter.connect()
        except:
            self.note(f"{name}: restart failed")
            raise

    def snapshot(self):
        values = {}
        for name, meter in self.meters.items():
            try:
                values[name] = round(meter.read(0x10), 3)
            except (TypeError, OSError):
                values[name] = None
        return values


def parse_registers(text):
    """'voltage=0x10, power=0x12' as a dict."""
    registers = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            registers[name.strip()] = int(number, 0)
        except:
            print(f"ignored: {part!r}", file=sys.stderr)
    return registers


def main_loop(poller):
    poller.start()
    try:
        while True:
            print(poller.snapshot())
            time.sleep(1)
    except KeyboardInterrupt:
        poller.stopping.set()
    finally:
        poller.join(timeout=2)


def flush(sink, out):
    while not sink.empty():
        try:
            stamp, name, value = sink.get_nowait()
            out.write(f"{stamp:.0f}\t{name}\t{value}\n")
        except:  # the other thread was faster
            break
