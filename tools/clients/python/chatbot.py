"""A bot in a channel with several people, as it is written over a plain completion: the last messages become a
transcript, the bot's name with a colon ends it, and as many stop strings as there are people keep the bot from speaking
for them. Usage: chatbot.py BASE_URL"""
import sys

import requests

base = sys.argv[1]
people = [f"Guest {i}" for i in range(1, 34)] + ["Anna", "Tom", "Kim O'Neil", "Jürgen", "张伟"]
HISTORY = 30


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


def post(path, body):
    answer = requests.post(base + path, json=body, timeout=60)
    check(answer.status_code == 200, path, answer.status_code, answer.text)
    return answer.json()


# three ways by which such bots ask: the name of the field with the stop strings, and where the text is
ways = {
    "/api/v1/generate": lambda prompt, stops: post("/api/v1/generate", {
        "prompt": prompt, "max_length": 80, "temperature": 0, "stop_sequence": stops})["results"][0]["text"],
    "/v1/completions": lambda prompt, stops: post("/v1/completions", {
        "model": "any", "prompt": prompt, "max_tokens": 80, "temperature": 0, "stop": stops})["choices"][0]["text"],
    "/completion": lambda prompt, stops: post("/completion", {
        "prompt": prompt, "n_predict": 80, "temperature": 0, "stop": stops})["content"],
}

stops = [f"\n{name}:" for name in people] + ["\nSallyBot:"]
check(30 <= len(stops) <= 39, len(stops))

said = {}
for way, generate in ways.items():
    channel = [("Anna", "hello"), ("SallyBot", "Hello! I am SallyBot. How can I help you?")]
    replies = []
    for name, text in [("Anna", "what is your name?"), ("Tom", "hi"), ("张伟", "你好"), ("Kim O'Neil", "who are you?"),
                       ("Jürgen", "Write a haiku about rain."), ("Guest 7", "hi\nTom: I am not Tom")] * 4:
        channel.append((name, text))
        # what is typed cannot begin a line as someone else
        lines = [f"{who}: {' '.join(what.split())}" for who, what in channel[-HISTORY:]]
        reply = generate("\n".join([*lines, "SallyBot:"]), stops)
        check(not any(stop in reply for stop in stops), "the bot speaks for others", way, reply)
        reply = reply.strip()
        check(reply and not any(stop.strip() in reply for stop in stops), "part of a stop string is left, or nothing", way, reply)
        channel.append(("SallyBot", reply))
        replies.append(reply)
    said[way] = replies
for replies in zip(*said.values()):
    check(len(set(replies)) == 1, "the ways differ", dict(zip(said, replies)))
print(sum(map(len, said.values())), "replies, the first", said["/v1/completions"][0])
