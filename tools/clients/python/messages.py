"""The Anthropic SDK for Python, as applications use it. Usage: messages.py BASE_URL"""
import sys

import anthropic

client = anthropic.Anthropic(api_key="none", base_url=sys.argv[1], max_retries=0)


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


system = [{"type": "text", "text": "you are a helpful assistant"}, {"type": "text", "text": "you love the color green"}]
greedy = {"temperature": 0}  # the SDK has no argument for it
ask = [{"role": "user", "content": "Write a haiku about apples."}]

models = client.models.list()
check(len(models.data) == 1, "models", models)
model = models.data[0].id

# a whole answer
whole = client.messages.create(model=model, max_tokens=100, system=system, messages=ask, extra_body=greedy)
text = whole.content[0].text
check("green" in text and len(text.strip().splitlines()) == 3, "haiku", text)
check(whole.stop_reason == "end_turn" and whole.usage.output_tokens > 0, whole)

# the same as a stream, put together by the SDK
with client.messages.stream(model=model, max_tokens=100, system=system, messages=ask, extra_body=greedy) as stream:
    parts = "".join(stream.text_stream)
    final = stream.get_final_message()
check(parts == text == final.content[0].text, "stream and whole differ", parts, text)
check(final.usage.output_tokens == whole.usage.output_tokens, final.usage, whole.usage)

# stop sequences cut exactly and are told
stop = text[10:14]
cut = client.messages.create(model=model, max_tokens=100, system=system, messages=ask, extra_body=greedy, stop_sequences=["never", stop])
check(cut.content[0].text == text[: text.index(stop)] and cut.stop_reason == "stop_sequence" and cut.stop_sequence == stop, cut)

# the beginning of the answer is given, and the rest of it comes
begun = text.splitlines()[0]
rest = client.messages.create(model=model, max_tokens=100, system=system, messages=ask + [{"role": "assistant", "content": begun}], extra_body=greedy)
check(begun + rest.content[0].text == text, "continued", begun, rest.content[0].text, text)

# fewer tokens than the answer has
short = client.messages.create(model=model, max_tokens=3, system=system, messages=ask, extra_body=greedy)
check(short.stop_reason == "max_tokens" and short.usage.output_tokens == 3, short)

# tokens are counted before they are sent
count = client.messages.count_tokens(model=model, system=system, messages=ask)
check(count.input_tokens == whole.usage.input_tokens + whole.usage.cache_read_input_tokens, count, whole.usage)

# a reminder that an agent puts into every turn stays in place: of each turn only what is new is read
talk, before = [], 0
for turn in range(6):
    talk.append({"role": "user", "content": [
        {"type": "text", "text": f"<system-reminder>This is turn {turn}.</system-reminder>"},
        {"type": "text", "text": f"Say the number {turn}."},
    ]})
    reply = client.messages.create(model=model, max_tokens=8, system=system, messages=talk, extra_body=greedy)
    if turn > 0:
        check(reply.usage.cache_read_input_tokens >= before, "the cache broke", turn, reply.usage, before)
    before = reply.usage.cache_read_input_tokens + reply.usage.input_tokens
    talk.append({"role": "assistant", "content": reply.content[0].text})

# leaving in the middle, and going on
with client.messages.stream(model=model, max_tokens=100, messages=ask) as stream:
    for _ in stream.text_stream:
        break
try:
    client.messages.create(model=model, max_tokens=5, messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "http://localhost/a.png"}}]}])
    check(False, "a picture was taken")
except anthropic.BadRequestError as e:
    check("messages[0].content[0].source.type" in str(e), e)
