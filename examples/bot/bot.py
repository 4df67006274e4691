"""A bot in a channel with many people. The server keeps who it is and what was
said; the bot carries messages to and fro. It needs nothing but Python.

    python3 bot.py CHARACTER [URL]

Lines of standard input are the channel: "Ann: hello" is Ann's message, and one
that names the bot is answered.  !again, !more and !undo are commands.
"""
import json
import sys
import urllib.error
import urllib.parse
import urllib.request


class Parley:
    """One talk that the server keeps."""

    def __init__(self, url, talk):
        self.url, self.talk = url.rstrip("/") + "/parley/v1", "/sessions/@" + urllib.parse.quote(talk, safe="")

    def ask(self, path, body, method="POST"):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise RuntimeError(json.load(e)["detail"]) from None

    def begin(self, talk, character):
        """The talk, or the one there is already, and its last message."""
        return self.ask("/sessions", {"external_id": talk, "character": character, "params": {"max_tokens": 200}})

    def hear(self, who, name, text):
        self.ask(self.talk + "/send", {"author": {"id": who, "name": name}, "text": text, "reply": False})

    def do(self, what, **body):
        """answer, regenerate or continue: what the bot says then."""
        return self.ask(f"{self.talk}/{what}", body)["message"]["text"]

    def undo(self):
        self.ask(self.talk + "/undo", {"count": 1})


class Loopback:
    """A channel that is a terminal. One of Discord has the same two methods."""

    def messages(self):
        for line in sys.stdin:
            name, colon, text = line.rstrip("\n").partition(": ")
            if colon and name and text:
                yield name.lower(), name, text

    def say(self, text):
        print(text, flush=True)


def run(channel, server, name):
    commands = {"!again": "regenerate", "!more": "continue"}
    for who, author, text in channel.messages():
        try:
            if text in commands:
                channel.say(server.do(commands[text]))
            elif text == "!undo":
                server.undo()
            else:
                server.hear(who, author, text)
                if name.lower() in text.lower():
                    channel.say(server.do("answer"))
        except RuntimeError as e:
            channel.say(f"({e})")


if __name__ == "__main__":
    character, url = sys.argv[1], (sys.argv[2:] or ["http://127.0.0.1:7275"])[0]
    server, channel = Parley(url, "channel of " + character), Loopback()
    talk = server.begin("channel of " + character, character)
    for message in talk.get("messages", [])[-1:]:
        channel.say(message["text"])
    run(channel, server, talk["title"])
