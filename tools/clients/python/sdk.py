"""The OpenAI SDK for Python, as applications use it. Usage: sdk.py BASE_URL"""
import json
import pathlib
import sys

import openai

client = openai.OpenAI(api_key="NULL", organization="somebody", base_url=sys.argv[1] + "/v1", max_retries=0)


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


haiku = [
    {"role": "system", "content": "you are a helpful assistant"},
    {"role": "system", "content": "you love the color green"},
    {"role": "user", "content": "Write a haiku about apples."},
]

# models
models = list(client.models.list())
check(len(models) == 1 and client.models.retrieve(models[0].id).id == models[0].id, "models", models)

# a whole answer
whole = client.chat.completions.create(model=models[0].id, messages=haiku, temperature=0)
text = whole.choices[0].message.content
check("green" in text and len(text.strip().splitlines()) == 3, "haiku", text)
check(whole.choices[0].finish_reason == "stop" and whole.choices[0].message.role == "assistant", whole)
check(whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0, whole.usage)

# the same as a stream, by a name that is not served, with the parameters of a wrapper
stream = client.chat.completions.create(
    model="mistral-7b", messages=haiku, temperature=0, n=1, top_p=1.0, stop=["</s>"],
    max_tokens=3024, seed=101, stream=True, stream_options={"include_usage": True},
)
streamed, usage, roles = "", None, 0
for part in stream:
    if part.usage:
        check(not part.choices, "the usage chunk has choices", part)
        usage = part.usage
    for choice in part.choices:
        streamed += choice.delta.content or ""
        roles += choice.delta.role == "assistant"
check(streamed == text, "stream and whole differ", streamed, text)
check(usage and usage.completion_tokens == whole.usage.completion_tokens and roles >= 1, usage, roles)

# presence_penalty as the wrapper sends it
wrapped = client.chat.completions.create(model="mistral-7b", messages=haiku, temperature=0, presence_penalty=1.1, seed=101)
check(wrapped.choices[0].message.content, "presence penalty", wrapped)

# stop strings: cut exactly, streaming or not
stop = text[10:14]
want = text[: text.index(stop)]
cut = client.chat.completions.create(model="x", messages=haiku, temperature=0, stop=[stop, "never"])
check(cut.choices[0].message.content == want and cut.choices[0].finish_reason == "stop", cut, want)
parts = client.chat.completions.create(model="x", messages=haiku, temperature=0, stop=stop, stream=True)
check("".join(p.choices[0].delta.content or "" for p in parts if p.choices) == want, "streamed stop")

# several choices: the first is what one gets, and a seed repeats them
several = [
    [c.message.content for c in client.chat.completions.create(model="x", messages=haiku, temperature=1, seed=5, n=n).choices]
    for n in (1, 3, 3)
]
check(several[1] == several[2] and several[0][0] == several[1][0] and len(several[1]) == 3, several)

# max_tokens
short = client.chat.completions.create(model="x", messages=haiku, temperature=0, max_tokens=3)
check(short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 3, short)
check(text.startswith(short.choices[0].message.content), short)

# text completion
raw = client.completions.create(model="x", prompt="User: Hi\nAssistant:", max_tokens=40, temperature=0, stop=["\nUser:"])
check(raw.choices[0].text and "User:" not in raw.choices[0].text, raw)

# a reply that was cut goes on as if it had not been, wherever it was
for at in range(1, len(text), 7):
    rest = client.chat.completions.create(
        model="x", messages=[*haiku, {"role": "assistant", "content": text[:at]}], temperature=0, extra_body={"continue_final_message": True},
    )
    check(rest.choices[0].message.content == text[at:], "continued behind", text[:at], rest)

# how likely each token was
likely = client.chat.completions.create(model="x", messages=haiku, temperature=0, logprobs=True, top_logprobs=2)
tokens = likely.choices[0].logprobs.content
check("".join(t.token for t in tokens) == text and all(len(t.top_logprobs) == 2 for t in tokens), "logprobs", tokens)

# an answer of a given form
lamp = {
    "type": "object", "required": ["color", "level"], "additionalProperties": False,
    "properties": {"color": {"enum": ["green", "blue"]}, "level": {"type": "integer", "minimum": 0, "maximum": 9}},
}


def lit(arguments):
    given = json.loads(arguments)
    return given["color"] in ("green", "blue") and given["level"] in range(10) and len(given) == 2


form = {"type": "json_schema", "json_schema": {"name": "lamp", "strict": True, "schema": lamp}}
given = client.chat.completions.create(model="x", messages=haiku, temperature=1.5, seed=2, response_format=form).choices[0].message.content
check(lit(given), "an answer of a given form", given)

# tools: a call that is demanded, whole and streamed, and its result
calling = dict(
    model="x", temperature=2, seed=3, tools=[{"type": "function", "function": {"name": "lamp", "strict": True, "parameters": lamp}}],
    extra_body={"chat_template": (pathlib.Path(__file__).parent / "tools.jinja").read_text()},
)
question = [{"role": "user", "content": "Light!"}]
called = client.chat.completions.create(**calling, messages=question, tool_choice="required").choices[0]
call = called.message.tool_calls[0]
check(called.finish_reason == "tool_calls" and call.function.name == "lamp" and lit(call.function.arguments), "a call", called)
parts = client.chat.completions.create(**calling, messages=question, tool_choice="required", stream=True)
pieces = [c.delta.tool_calls[0].function.arguments or "" for p in parts for c in p.choices if c.delta.tool_calls]
check("".join(pieces) == call.function.arguments, "a streamed call", pieces)
result = {"role": "tool", "tool_call_id": call.id, "content": "lit"}
answer = client.chat.completions.create(**calling, messages=[*question, called.message, result], tool_choice="none").choices[0].message
check(answer.content and not answer.tool_calls, "behind the result", answer)

# vectors, which the SDK asks for in base64, and as lists
rows = client.embeddings.create(model="x", input=["green apples", "red apples", "My name is Ann."])
vectors = [r.embedding for r in rows.data]
check(rows.usage.prompt_tokens > 0 and [r.index for r in rows.data] == [0, 1, 2], rows.usage)


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


check(all(abs(dot(v, v) - 1) < 1e-4 for v in vectors), "lengths", [dot(v, v) for v in vectors])
check(dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]), "apples are nearer to apples", vectors)
plain = client.embeddings.create(model="x", input="green apples", encoding_format="float")
check(max(abs(a - b) for a, b in zip(plain.data[0].embedding, vectors[0])) < 1e-6, "base64 and lists differ")
check(len(client.embeddings.create(model="x", input="green apples", dimensions=8).data[0].embedding) == 8, "dimensions")
try:
    client.embeddings.create(model="x", input=["fine", ""])
    check(False, "an empty text was accepted")
except openai.BadRequestError as e:
    check(e.param == "input[1]", e)

# how likely a text is, as evaluations ask for it
scored = client.completions.create(model="x", prompt="User: Hi", max_tokens=0, echo=True, logprobs=1).choices[0]
check(scored.text == "User: Hi" == "".join(scored.logprobs.tokens), "echo", scored)
check(all(p is None or p <= 0 for p in scored.logprobs.token_logprobs) and scored.logprobs.token_logprobs[-1] < 0, "scores", scored)
best = client.completions.create(model="x", prompt="User: Hi", max_tokens=5, n=2, best_of=4, temperature=1.5, seed=1, logprobs=0)
means = [sum(c.logprobs.token_logprobs) / len(c.logprobs.token_logprobs) for c in best.choices]
check(len(means) == 2 and means[0] >= means[1] and best.usage.completion_tokens > 5, "best of four", best)

# breaking off frees the server
broken = client.chat.completions.create(model="x", messages=haiku, stream=True)
for _ in broken:
    break
broken.close()
check(client.chat.completions.create(model="x", messages=haiku, temperature=0).choices[0].message.content == text, "after breaking off")

# errors arrive as the SDK's own classes, and name the field
try:
    client.chat.completions.create(model="x", messages=[{"role": "narrator", "content": "x"}])
    check(False, "an unknown role was accepted")
except openai.BadRequestError as e:
    check(e.param == "messages[0].role" and "narrator" in e.message, e)
try:
    client.chat.completions.create(model="x", messages=[{"role": "user", "content": "long " * 40000}])
    check(False, "a prompt longer than the context was accepted")
except openai.BadRequestError as e:
    check(e.code == "context_length_exceeded", e)

print(text)
