from .nodes import Binary, Call, Name, Number
from .tokens import Kind, Token, scan

POWER = {"+": 10, "-": 10, "*": 20, "/": 20, "^": 30}


class Parser:
    def __init__(self, source):
        self.tokens = scan(source)
        self.index = 0

    def take(self) -> Token:
        token = self.tokens[self.index]
        self.index += 1
        return token

    def expression(self, least=0):
        left = self.atom()
        while True:
            op = self.tokens[self.index].text
            power = POWER.get(op, -1)
            if power < least or power < 0:
                return left
            self.take()
            left = Binary(op, left, self.expression(power + (op != "^")))

    def atom(self):
        token = self.take()
        if token.kind is Kind.NUMBER:
            return Number(float(token.text))
        if token.kind is Kind.NAME:
            if self.tokens[self.index].text != "(":
                return Name(token.text)
            self.take()
            arguments = []
            while self.tokens[self.index].text != ")":
                arguments.append(self.expression())
                if self.tokens[self.index].text == ",":
                    self.take()
            self.take()
            return Call(token.text, tuple(arguments))
        if token.text == "(":
            inner = self.expression()
            if self.take().text != ")":
                raise SyntaxError("missing )")
            return inner
        raise SyntaxError(f"unexpected {token.text!r}")
