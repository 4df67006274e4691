"""Two agents of AutoGen talk to each other, each in a chat format of its own, and one calls a tool.
Usage: autogen_chat.py BASE_URL"""
import asyncio
import pathlib
import sys

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, ToolCallExecutionEvent, ToolCallRequestEvent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.openai import OpenAIChatCompletionClient

# Instructions, as a wrapper lays them out for a model that has no roles.
INSTRUCTIONS = """{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}

{% elif m.role == 'user' %}### Instruction:
{{ m.content }}

{% else %}### Response:
{{ m.content }}

{% endif %}{% endfor %}{% if add_generation_prompt %}### Response:
{% endif %}"""


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


def client(**more):
    return OpenAIChatCompletionClient(
        model="parley-demo", base_url=sys.argv[1] + "/v1", api_key="none", temperature=0, max_retries=0, max_tokens=120,
        model_info={"vision": False, "function_calling": True, "json_output": True, "family": "unknown", "structured_output": True}, **more)


async def talk(stream):
    mira = AssistantAgent("Mira", client(), system_message="You are Mira, a pirate captain.", model_client_stream=stream)
    otto = AssistantAgent("Otto", client(extra_body={"chat_template": INSTRUCTIONS}), system_message="You are Otto, a shy baker.", model_client_stream=stream)
    team = RoundRobinGroupChat([mira, otto], termination_condition=MaxMessageTermination(5))
    chunks, result = 0, None
    async for event in team.run_stream(task="Who are you?"):
        chunks += isinstance(event, ModelClientStreamingChunkEvent)
        result = event
    check([m.source for m in result.messages] == ["user", "Mira", "Otto", "Mira", "Otto"], result)
    check(all(m.content.strip() for m in result.messages), result)
    check("Mira" in result.messages[1].content, result)
    check(not any(mark in m.content for m in result.messages for mark in ("<|im_", "###")), "marks of the format in the text", result)
    check(bool(chunks) == stream, chunks, stream)
    return [m.content for m in result.messages]


async def weather(city: str, days: int) -> str:
    """The weather in a city."""
    return f"rain in {city} for {days} days"


async def call():
    # the built-in model was not trained to call tools: a grammar has it call this one, in a format with a place for them
    here = pathlib.Path(__file__).parent
    brought = {"chat_template": (here / "tools.jinja").read_text(), "grammar": (here / "call.gbnf").read_text()}
    agent = AssistantAgent("helper", client(extra_body=brought), tools=[weather], reflect_on_tool_use=False)
    result = await agent.run(task="What is the weather in Rome?")
    calls = [c for m in result.messages if isinstance(m, ToolCallRequestEvent) for c in m.content]
    done = [r for m in result.messages if isinstance(m, ToolCallExecutionEvent) for r in m.content]
    check(calls and calls[0].name == "weather" and done and not done[0].is_error and done[0].content.startswith("rain in"), result)
    return done[0].content


async def main():
    whole = await talk(stream=False)
    check(await talk(stream=True) == whole, "streamed and whole differ", whole)
    print("\n".join(whole))
    print(await call())


asyncio.run(main())
