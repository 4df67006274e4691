"""Any chat format around any OpenAI client: `parley serve --request-formats`, then wrapper.py [URL]."""
import functools
import pathlib
import sys

import openai


def chat_format(path):
    own = {"parley": {"format_toml": pathlib.Path(path).read_text("utf-8")}}
    return lambda create: functools.partial(create, extra_body=own)


client = openai.OpenAI(api_key="NULL", base_url=(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:7275") + "/v1")
create = chat_format(pathlib.Path(__file__).with_name("openbuddy.toml"))(client.chat.completions.create)

for part in create(
    model="mistral-7b",
    messages=[{"role": "user", "content": "Write a haiku about apples."}],
    temperature=0,
    stop=["</s>"],
    max_tokens=64,
    seed=101,
    stream=True,
):
    if part.choices:
        print(part.choices[0].delta.content or "", end="", flush=True)
print()
