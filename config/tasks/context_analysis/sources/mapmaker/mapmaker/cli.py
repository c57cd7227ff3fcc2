import argparse
import pathlib

from . import svg
from .geo.box import Box
from .osm import reader


def main(argv=None):
    parser = argparse.ArgumentParser(prog="mapmaker")
    parser.add_argument("extract", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("map.svg"))
    parser.add_argument("--box", type=float, nargs=4)
    options = parser.parse_args(argv)
    box = Box(*options.box) if options.box else None
    options.output.write_text(svg.draw(reader.read(options.extract, box)))
