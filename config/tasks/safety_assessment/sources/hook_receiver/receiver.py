"""Receives the hooks of the code forge and starts builds (plain WSGI)."""

import hashlib
import hmac
import json
import os
import queue
import threading
from http import HTTPStatus
from wsgiref.simple_server import make_server

SECRETS = {"forge": "FORGE_SECRET", "registry": "REGISTRY_SECRET", "chat": "CHAT_TOKEN"}
MAX_BODY = 1_000_000


class Receiver:
    def __init__(self, builds, environ=os.environ):
        self.builds = builds
        self.secrets = {name: environ[variable].encode() for name, variable in SECRETS.items() if variable in environ}
        self.handlers = {"/forge": self.forge, "/registry": self.registry, "/chat": self.chat}

    def __call__(self, environ, start_response):
        handler = self.handlers.get(environ["PATH_INFO"])
        if handler is None:
            status, answer = HTTPStatus.NOT_FOUND, {}
        elif environ["REQUEST_METHOD"] != "POST":
            status, answer = HTTPStatus.METHOD_NOT_ALLOWED, {}
        else:
            length = int(environ.get("CONTENT_LENGTH") or 0)
            if length > MAX_BODY:
                status, answer = HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {}
            else:
                status, answer = handler(environ, environ["wsgi.input"].read(length))
        body = json.dumps(answer).encode()
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [body]

    def forge(self, environ, body):
        given = environ.get("HTTP_X_FORGE_SIGNATURE", "")
        wanted = hmac.new(self.secrets["forge"], body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(given.encode(), wanted.encode()):
            return HTTPStatus.FORBIDDEN, {}
        event = json.loads(body)
        if event.get("ref", "").startswith("refs/heads/"):
            self.builds.put(("branch", event["repository"]["id"], event["after"]))
        return HTTPStatus.ACCEPTED, {"queued": self.builds.qsize()}

    def registry(self, environ, body):
        given = environ.get("HTTP_X_REGISTRY_HMAC", "")
        wanted = hmac.new(self.secrets["registry"], body, hashlib.sha512).hexdigest()
        if given != wanted:
            return HTTPStatus.FORBIDDEN, {}
        event = json.loads(body)
        self.builds.put(("image", event["image"], event["digest"]))
        return HTTPStatus.ACCEPTED, {"queued": self.builds.qsize()}

    def chat(self, environ, body):
        message = json.loads(body)
        token = str(message.get("token", "")).encode()
        if len(token) != len(self.secrets["chat"]) or not hmac.compare_digest(token, self.secrets["chat"]):
            return HTTPStatus.FORBIDDEN, {}
        if message.get("command") == "status":
            return HTTPStatus.OK, {"text": f"{self.builds.qsize()} builds wait"}
        return HTTPStatus.OK, {"text": "commands: status"}


def work(builds, run):
    while True:
        kind, name, revision = builds.get()
        try:
            run(kind, name, revision)
        finally:
            builds.task_done()


def main(run):
    builds = queue.Queue(maxsize=200)
    threading.Thread(target=work, args=(builds, run), daemon=True).start()
    with make_server("127.0.0.1", 8091, Receiver(builds)) as server:
        server.serve_forever()
