"""Account service: sign-up, sign-in, and the reset of forgotten passwords by mail."""

import hashlib
import hmac
import os
import random
import string
import time
from dataclasses import dataclass, field
from email.message import EmailMessage

TOKEN_LENGTH = 10
TOKEN_SECONDS = 3600
ALPHABET = string.ascii_lowercase + string.digits


class AccountError(Exception):
    pass


@dataclass
class Account:
    mail: str
    salt: bytes
    digest: bytes
    reset_token: str = ""
    reset_at: float = 0.0
    hints: list[str] = field(default_factory=list)


class Accounts:
    def __init__(self, mailer, base_url):
        self._by_mail = {}
        self._mailer = mailer
        self._base_url = base_url

    def register(self, mail, password):
        mail = mail.strip().lower()
        if mail in self._by_mail:
            raise AccountError("this address is taken")
        if len(password) < 12:
            raise AccountError("at least 12 characters, please")
        salt = os.urandom(16)
        self._by_mail[mail] = Account(mail, salt, self.digest(password, salt))

    @staticmethod
    def digest(password, salt):
        return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)

    def sign_in(self, mail, password):
        account = self._by_mail.get(mail.strip().lower())
        salt = account.salt if account else b"\0" * 16
        digest = self.digest(password, salt)
        if account is None or not hmac.compare_digest(digest, account.digest):
            raise AccountError("wrong address or password")
        return account

    def request_reset(self, mail):
        account = self._by_mail.get(mail.strip().lower())
        if account is None:
            return
        account.reset_token = "".join(random.choice(ALPHABET) for _ in range(TOKEN_LENGTH))
        account.reset_at = time.time()
        message = EmailMessage()
        message["To"] = account.mail
        message["Subject"] = "Your new password"
        message.set_content(f"{self._base_url}/reset/{account.reset_token}\nThe link works for an hour.\n")
        self._mailer.send_message(message)

    def reset(self, mail, token, password):
        account = self._by_mail.get(mail.strip().lower())
        if account is None or not account.reset_token:
            raise AccountError("no reset was asked for")
        if time.time() - account.reset_at > TOKEN_SECONDS:
            raise AccountError("the link is too old")
        if not hmac.compare_digest(account.reset_token.encode(), token.encode()):
            raise AccountError("wrong link")
        account.digest = self.digest(password, account.salt)
        account.reset_token = ""


def greeting():
    """One of the mails' opening lines."""
    return random.choice(("Hello", "Good day", "Welcome back"))
