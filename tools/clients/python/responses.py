"""OpenAI's Responses API by its SDK, and by the models of the Open Responses specification. Usage: responses.py BASE_URL"""
import json
import pathlib
import sys
from typing import Literal

import openai
import openresponses_types as spec
import pydantic

client = openai.OpenAI(api_key="NULL", base_url=sys.argv[1] + "/v1", max_retries=0)
here = pathlib.Path(__file__).parent


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


def valid(response):
    """A response is what the specification says."""
    spec.ResponseResource.model_validate(response.to_dict())
    return response


# a whole response, twice the same
haiku = dict(model="x", instructions="you love the color green", input="Write a haiku about apples.", temperature=0)
whole = valid(client.responses.create(**haiku))
text = whole.output_text
check("green" in text and len(text.strip().splitlines()) == 3, text)
check(whole.status == "completed" and whole.output[0].role == "assistant" and whole.temperature == 0, whole)
usage = whole.usage
check(usage.total_tokens == usage.input_tokens + usage.output_tokens > 0 and usage.output_tokens_details.reasoning_tokens == 0, usage)

# the same as a stream: every event is what the specification says, and numbered
events = {
    kind.model_fields["type"].annotation: kind
    for kind in vars(spec.types).values()
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel) and kind.__name__.endswith("StreamingEvent")
}
kinds = {next(iter(values)).value: kind for values, kind in events.items()}
streamed, told = "", []
for n, event in enumerate(client.responses.create(**haiku, stream=True)):
    check(event.sequence_number == n, event)
    kinds[event.type].model_validate(event.to_dict())
    told.append(event.type)
    if event.type == "response.output_text.delta":
        streamed += event.delta
check(streamed == text and event.response.output_text == text, streamed)
check(told[:4] == ["response.created", "response.in_progress", "response.output_item.added", "response.content_part.added"], told)
check(told[-4:] == ["response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed"], told)

# the helper that puts a stream together
with client.responses.stream(**haiku) as stream:
    check(stream.get_final_response().output_text == text, "the helper")

# items: the answer goes back as it came, and so does what the server has kept
history = [{"role": "user", "content": "Hi"}]
first = valid(client.responses.create(model="x", input=history, temperature=0))
again = {"role": "user", "content": [{"type": "input_text", "text": "Who are you?"}]}
by_hand = valid(client.responses.create(model="x", input=history + first.output + [again], temperature=0))
kept = valid(client.responses.create(model="x", input=[again], previous_response_id=first.id, temperature=0))
check(by_hand.output_text == kept.output_text and kept.usage.input_tokens == by_hand.usage.input_tokens, by_hand, kept)
check(client.responses.retrieve(first.id).output_text == first.output_text, "kept")
client.responses.delete(first.id)
try:
    client.responses.create(model="x", input="x", previous_response_id=first.id)
    check(False, "gone on from a response that is not there")
except openai.NotFoundError as e:
    check(e.param == "previous_response_id", e)

# a length, and probabilities
short = valid(client.responses.create(**haiku, max_output_tokens=3, top_logprobs=2, include=["message.output_text.logprobs"]))
check(short.status == "incomplete" and short.incomplete_details.reason == "max_output_tokens" and short.usage.output_tokens == 3, short)
probs = short.output[0].content[0].logprobs
check("".join(p.token for p in probs) == short.output_text and len(probs[0].top_logprobs) == 2, probs)


# an answer of a given form
class Mood(pydantic.BaseModel):
    happy: bool
    color: Literal["green", "blue"]


mood = client.responses.parse(model="x", input="How are you?", text_format=Mood, temperature=0)
check(isinstance(mood.output_parsed, Mood), mood)

# tools: the built-in model was not trained to call any, so a grammar has it call this one, in a format with a place for them
weather = {
    "type": "function", "name": "weather", "description": "The weather in a city.", "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}},
}
brought = {"chat_template": (here / "tools.jinja").read_text()}
calling = dict(model="x", tools=[weather], temperature=0)
question = [{"role": "user", "content": "What is the weather in Ulm?"}]
called = valid(client.responses.create(**calling, input=question, extra_body={**brought, "grammar": (here / "call.gbnf").read_text()}))
calls = [item for item in called.output if item.type == "function_call"]
check(len(calls) == 1 and calls[0].name == "weather" and json.loads(calls[0].arguments)["city"], called)
arguments = ""
for event in client.responses.create(**calling, input=question, stream=True, extra_body={**brought, "grammar": (here / "call.gbnf").read_text()}):
    kinds[event.type].model_validate(event.to_dict())
    if event.type == "response.function_call_arguments.delta":
        arguments += event.delta
check(arguments == calls[0].arguments, arguments)
result = {"type": "function_call_output", "call_id": calls[0].call_id, "output": "rain"}
answer = valid(client.responses.create(**calling, input=question + called.output + [result], tool_choice="none", extra_body=brought))
check(answer.output_text.strip(), answer)

# errors arrive as the SDK's own classes, and name the field
for wrong, field in [
    ({"input": [{"role": "narrator", "content": "x"}]}, "input[0].role"),
    ({"input": "x", "tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"input": "x", "background": True}, "background"),
]:
    try:
        client.responses.create(model="x", **wrong)
        check(False, "accepted", wrong)
    except openai.BadRequestError as e:
        check(e.param == field, e, field)
try:
    for _ in client.responses.create(model="x", input="long " * 40000, stream=True):
        check(False, "an event of a prompt longer than the context")
except openai.BadRequestError as e:
    check(e.code == "context_length_exceeded", e)
dropped = client.responses.create(model="x", input=[{"role": "user", "content": "long " * 200}] * 100 + question, truncation="auto", temperature=0)
check(dropped.output_text, dropped)

print(text)
