"""LangChain's ChatOpenAI, as chains use it. Usage: langchain_chat.py BASE_URL"""
import json
import pathlib
import sys

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


def model(**more):
    return ChatOpenAI(model="parley-demo", base_url=sys.argv[1] + "/v1", api_key="none", temperature=0, max_retries=0, **more)


# a chain, whole and streamed, and several at once
prompt = ChatPromptTemplate.from_messages([
    ("system", "you are a helpful assistant"), ("system", "you love the color {color}"), ("human", "Write a haiku about {thing}.")])
chain = prompt | model()
inputs = {"color": "green", "thing": "apples"}
whole = chain.invoke(inputs)
check("green" in whole.content and whole.usage_metadata["output_tokens"] > 0, whole)
check(whole.response_metadata["finish_reason"] == "stop", whole)
check("".join(part.content for part in chain.stream(inputs)) == whole.content, "stream and whole differ")
batch = chain.batch([inputs, {"color": "blue", "thing": "rain"}, inputs])
check([batch[0].content, batch[2].content] == [whole.content] * 2 and "blue" in batch[1].content, batch)

# a conversation with what was said before
history = [SystemMessage("You are Mira, a pirate captain."), HumanMessage("Hi"), AIMessage("Ahoy! I am Mira."), HumanMessage("Who are you?")]
check("Mira" in model().invoke(history).content, "the system message was lost")


# an answer of a given form
mood = {"title": "mood", "type": "object", "properties": {"happy": {"type": "boolean"}, "why": {"type": "string", "maxLength": 30}},
        "required": ["happy", "why"], "additionalProperties": False}
for method in ("json_schema", "json_mode"):
    given = model().with_structured_output(mood, method=method, strict=True if method == "json_schema" else None).invoke("How are you? Answer in JSON.")
    check(isinstance(given, dict) and (method == "json_mode" or isinstance(given["happy"], bool)), method, given)


# tools: the built-in model was not trained to call any, so a grammar has it call this one; its own format has no place for
# them, so the request brings one that has
@tool
def weather(city: str, days: int) -> str:
    """The weather in a city."""
    return f"rain in {city} for {days} days"


here = pathlib.Path(__file__).parent
format = {"chat_template": (here / "tools.jinja").read_text()}
caller = model(extra_body={**format, "grammar": (here / "call.gbnf").read_text()}).bind_tools([weather])
question = [HumanMessage("What is the weather in Rome?")]
called = caller.invoke(question)
check(len(called.tool_calls) == 1 and not called.invalid_tool_calls, called)
call = called.tool_calls[0]
check(call["name"] == "weather" and isinstance(call["args"]["city"], str) and isinstance(call["args"]["days"], int) and call["id"], call)
check(called.response_metadata["finish_reason"] == "tool_calls", called)

streamed = None
for part in caller.stream(question):
    streamed = part if streamed is None else streamed + part
check([(c["name"], c["args"]) for c in streamed.tool_calls] == [(call["name"], call["args"])], streamed)

# the result goes back, and an answer comes
result = weather.invoke(call)
check(isinstance(result, ToolMessage), result)
answer = model(extra_body=format).bind_tools([weather], tool_choice="none").invoke([*question, called, result])
check(answer.content.strip() and not answer.tool_calls, answer)

print(whole.content)
print(json.dumps(call["args"]))
