import sys

from . import blocks, numbering, terminal, typography
from .options import Options


def mill(source: str, options: Options) -> str:
    root = blocks.parse(source)
    typography.polish(root, options)
    numbering.number(root, options)
    return terminal.render(root, options)


def main(argv: list[str] | None = None) -> None:
    words = sys.argv[1:] if argv is None else argv
    sys.stdout.write(mill(sys.stdin.read(), Options.from_words(words)) + "\n")
