import sys
import threading
import time

from .desk import Desk
from .errors import ShowError
from .light import rig
from .script import reader

HELP = "enter: go   b: back   l: log   w: write   q: quit"


class Silent:
    def start(self, number, path, loop):
        print(f"[{number}] {path}{' (loop)' if loop else ''}")

    def volume(self, number, gain):
        pass

    def stop(self, number):
        print(f"[{number}] off")


def loop(desk, stop, rate=40):
    while not stop.is_set():
        desk.tick()
        time.sleep(1 / rate)


def main(patch, script):
    try:
        lights = rig.load(patch)
        with open(script) as handle:
            sheet = reader.read(handle)
    except ShowError as problem:
        sys.exit(str(problem))
    desk, stop = Desk(lights, sheet, Silent()), threading.Event()
    threading.Thread(target=loop, args=(desk, stop), daemon=True).start()
    print(HELP)
    for line in sys.stdin:
        key = line.strip()
        if key == "q":
            break
        if key == "b":
            sheet.back()
        elif key == "l":
            print("\n".join(desk.log))
        elif key == "w":
            print(sheet.text())
        else:
            print(desk.go() or "end of the show")
    stop.set()
