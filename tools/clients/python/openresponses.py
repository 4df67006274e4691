"""What the Open Responses specification has its compliance tests ask, in words of our own, over bare HTTP: each answer is
what its schema says. Usage: openresponses.py BASE_URL"""
import base64
import json
import pathlib
import struct
import sys
import urllib.error
import urllib.request
import zlib

import openresponses_types as spec
import pydantic

here = pathlib.Path(__file__).parent
kinds = {
    next(iter(kind.model_fields["type"].annotation)).value: kind
    for kind in vars(spec.types).values()
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel) and kind.__name__.endswith("StreamingEvent")
}


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


def post(stream, **body):
    request = urllib.request.Request(
        sys.argv[1] + "/v1/responses", json.dumps({"model": "x", "stream": stream, **body}).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer none"},
    )
    return urllib.request.urlopen(request)


def ask(status="completed", **body):
    """A whole response."""
    response = json.load(post(False, **body))
    spec.ResponseResource.model_validate(response)
    check(response["status"] == status and response["output"] and response["error"] is None, response)
    return response


def events(**body):
    """The events of a response, each with its name, its number and its form."""
    told = []
    with post(True, **body) as answer:
        check(answer.headers.get_content_type() == "text/event-stream", answer.headers)
        blocks = answer.read().decode().split("\n\n")
    check(blocks.pop() == "", blocks)
    for block in blocks:
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if not lines:
            continue
        event = json.loads(lines["data"])
        check(event["type"] == lines["event"] and event["sequence_number"] == len(told), event)
        kinds[event["type"]].model_validate(event)
        told.append(event)
    check(told[0]["type"] == "response.created" and told[-1]["type"] == "response.completed", [e["type"] for e in told])
    spec.ResponseResource.model_validate(told[-1]["response"])
    check(told[-1]["response"]["status"] == "completed", told[-1])
    return told


def user(content):
    return {"type": "message", "role": "user", "content": content}


def text(response):
    return "".join(part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"])


# a message, whole and in pieces
hello = [user("Hi")]
whole = ask(input=hello, temperature=0)
check(text(whole), whole)
told = events(input=hello, temperature=0)
check("".join(e["delta"] for e in told if e["type"] == "response.output_text.delta") == text(whole) == text(told[-1]["response"]), told)

# a system message, and what was said before
pirate = {"type": "message", "role": "system", "content": "You are Mira, a pirate captain."}
check("Mira" in text(ask(input=[pirate, user("Who are you?")], temperature=0)), "the system message was lost")
ask(input=[user("My name is Ann."), {"type": "message", "role": "assistant", "content": "Hello Ann!"}, user("What is my name?")])

# a function that is called. The built-in model was not trained to call any: here the call is demanded.
weather = {
    "type": "function", "name": "get_weather", "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"location": {"type": "string", "description": "The city", "maxLength": 20}}, "required": ["location"]},
}
calling = dict(
    input=[user("What is the weather in Ulm?")], tools=[weather], tool_choice="required", seed=1,
    chat_template=(here / "tools.jinja").read_text(),
)
called = [item for item in ask(**calling)["output"] if item["type"] == "function_call"]
check(len(called) == 1 and called[0]["name"] == "get_weather" and isinstance(json.loads(called[0]["arguments"])["location"], str), called)
told = events(**calling)
added = [e for e in told if e["type"] == "response.output_item.added" and e["item"]["type"] == "function_call"]
done = [e for e in told if e["type"] == "response.output_item.done" and e["item"]["type"] == "function_call"]
deltas = "".join(e["delta"] for e in told if e["type"] == "response.function_call_arguments.delta")
ends = [e["arguments"] for e in told if e["type"] == "response.function_call_arguments.done"]
check(len(added) == len(done) == 1 and ends == [deltas] and done[0]["item"]["arguments"] == deltas == called[0]["arguments"], told)

# a picture: the built-in model sees none, and says so, or is told of a picture that it cannot see


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")) + chunk(b"IEND", b"")
picture = {"type": "input_image", "image_url": "data:image/png;base64," + base64.b64encode(png).decode()}
seen = [user([{"type": "input_text", "text": "What do you see?"}, picture])]
try:
    ask(input=seen)
    check(False, "a model without eyes took a picture")
except urllib.error.HTTPError as e:
    error = json.load(e)["error"]
    check(e.code == 400 and "content[1]" in error["param"], error)
ask(input=seen, parley={"media": "placeholder"})

print(text(whole))
