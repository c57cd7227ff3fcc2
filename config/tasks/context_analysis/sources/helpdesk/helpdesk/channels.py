import json
import urllib.request

from .agents import TEAM

HOOKS = {}


def broadcast(text):
    for agent in TEAM:
        hook = HOOKS.get(agent.name)
        if hook and not agent.away:
            body = json.dumps({"text": text}).encode()
            urllib.request.urlopen(urllib.request.Request(hook, body), timeout=5)
