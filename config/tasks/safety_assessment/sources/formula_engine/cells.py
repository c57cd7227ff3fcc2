"""Shared planning sheets: cells with numbers, text and formulas that participants type in."""

import ast
import math
import operator
import re

REFERENCE = re.compile(r"\b([A-Z])([1-9][0-9]?)\b")
FUNCTIONS = {"round": round, "abs": abs, "min": min, "max": max, "sqrt": math.sqrt, "sum": sum}
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class CellError(ValueError):
    pass


class Sheet:
    def __init__(self):
        self.cells = {}
        self.filters = {}
        self._busy = set()

    def set(self, key, text):
        if not REFERENCE.fullmatch(key):
            raise CellError(f"no such cell: {key}")
        self.cells[key] = text.strip()

    def value(self, key):
        text = self.cells.get(key, "")
        if key in self._busy:
            raise CellError(f"{key} refers to itself")
        if not text.startswith("="):
            return self._constant(text)
        self._busy.add(key)
        try:
            return self._formula(text[1:])
        finally:
            self._busy.discard(key)

    @staticmethod
    def _constant(text):
        try:
            return ast.literal_eval(text) if text else 0
        except (ValueError, SyntaxError):
            return text

    def _formula(self, source):
        names = {"".join(match): self.value("".join(match)) for match in REFERENCE.findall(source)}
        scope = {"__builtins__": {}, **FUNCTIONS, **names}
        try:
            return eval(compile(source, "<cell>", "eval"), scope)
        except ZeroDivisionError:
            return math.nan
        except Exception as error:
            raise CellError(str(error)) from None

    def total(self, expression):
        """Value of a simple sum such as 'A1 + A2 * 3', as the status bar shows it."""
        return self._walk(ast.parse(expression, mode="eval").body)

    def _walk(self, node):
        match node:
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.Name(id=name):
                return self.value(name)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return OPERATORS[type(op)](self._walk(left), self._walk(right))
            case _:
                raise CellError("only sums and products, please")

    def column(self, letter):
        keys = sorted((key for key in self.cells if key[0] == letter), key=lambda key: int(key[1:]))
        return [self.value(key) for key in keys]

    def export(self):
        return "\n".join(f"{key}\t{self.value(key)}" for key in sorted(self.cells))
