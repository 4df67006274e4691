"""text-generation-webui's API of 2023 as its clients use it: bots that keep the history themselves, over HTTP and over
WebSockets, and today's fields on OpenAI's routes. Usage: textgen.py HTTP_URL WEBSOCKET_URL"""
import asyncio
import html
import json
import sys

import requests
import websockets

base, socket = sys.argv[1], sys.argv[2]


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


def post(path, body, status=200):
    answer = requests.post(base + path, json=body, timeout=60)
    check(answer.status_code == status, path, answer.status_code, answer.text)
    return answer.json()


# what the example clients of that time send along, whether they know what it means or not
sampling = {
    "preset": "None", "do_sample": True, "temperature": 0.01, "top_p": 0.1, "typical_p": 1, "epsilon_cutoff": 0, "eta_cutoff": 0, "tfs": 1, "top_a": 0,
    "repetition_penalty": 1.0, "repetition_penalty_range": 0, "top_k": 40, "min_length": 0, "no_repeat_ngram_size": 0, "num_beams": 1,
    "penalty_alpha": 0, "length_penalty": 1, "early_stopping": False, "mirostat_mode": 0, "mirostat_tau": 5, "mirostat_eta": 0.1, "guidance_scale": 1,
    "negative_prompt": "", "seed": 7, "add_bos_token": True, "truncation_length": 2048, "ban_eos_token": False, "custom_token_bans": "",
    "skip_special_tokens": True, "stopping_strings": [], "max_new_tokens": 60, "auto_max_new_tokens": False, "max_tokens_second": 0,
}


def request(said, history, **more):
    return {"user_input": said, "history": history, "mode": "chat", "character": "Mira", "instruction_template": "Vicuna-v1.1", "your_name": "You",
            "regenerate": False, "_continue": False, "stop_at_newline": False, "chat_generation_attempts": 1,
            "chat_instruct_command": 'Continue the dialogue. Write one reply of "<|character|>".\n\n<|prompt|>', **sampling, **more}


def talk(said, history, **more):
    return post("/api/v1/chat", request(said, history, **more))["results"][0]["history"]


def leaks(reply):
    return any(stop in reply for stop in ("\nMira:", "\nYou:", "<|im_"))


empty = {"internal": [], "visible": []}
for mode in "chat", "chat-instruct", "instruct":
    more = {"mode": mode}
    if mode != "chat":
        more["instruction_template"] = None  # the model's own
    check(talk("", empty, _continue=True, **more) == empty, "nothing was continued")
    check(talk("x", empty, regenerate=True, **more) == empty, "nothing was answered again")
    history = empty
    for turn, said in enumerate(["Hi", "What's your name?", "Is 1 < 2 & \"true\"?"], 1):
        history = talk(said, history, **more)
        check(len(history["internal"]) == len(history["visible"]) == turn, mode, history)
        (heard, reply), (shown, shown_reply) = history["internal"][-1], history["visible"][-1]
        check(heard == said and html.unescape(shown) == said and ("<" not in shown), mode, history)
        check(reply and not leaks(reply) and html.unescape(shown_reply) == reply, mode, reply)
    again = talk("", history, regenerate=True, **more)
    check(again == history, "the same request gives another answer", again, history)
    history["internal"][-1][1], history["visible"][-1][1] = "I", "I"
    longer = talk("", history, _continue=True, **more)
    check(len(longer["internal"]) == 3 and longer["internal"][-1][1].startswith("I"), "continued", longer)
    check(longer["internal"][:2] == history["internal"][:2], "continued", longer)
    print(mode, [reply for _, reply in history["internal"]])

check(talk("Hi", empty, character="Nobody", **{"mode": "instruct"})["internal"], "the mode instruct has no character")
check("character" in post("/api/v1/chat", request("Hi", empty, character="Nobody"), 404)["error"]["message"], "nobody answers")


# over WebSockets: what comes in pieces is what comes whole
async def frames(path, body):
    async with websockets.connect(socket + path, ping_interval=None) as ws:
        for _ in range(2):  # several requests over one socket
            await ws.send(json.dumps(body))
            got = []
            while True:
                frame = json.loads(await ws.recv())
                check(frame["message_num"] == len(got), frame)
                if frame["event"] == "stream_end":
                    break
                check(frame["event"] == "text_stream", frame)
                got.append(frame)
        return got


got = asyncio.run(frames("/api/v1/chat-stream", request("Hi", empty)))
check(len(got) > 2 and got[-1]["history"] == talk("Hi", empty), "streamed and whole differ", got[-1])
seen = ""
for frame in got:
    now = frame["history"]["internal"][0][1]
    check(now.startswith(seen) and not leaks(now), "what was shown is taken back", seen, now)
    seen = now

# a bot in a channel: thirty messages as [name]: text, and a stop string for everyone in it
people = [f"Guest {i}" for i in range(1, 37)] + ["Anna", "Kim O'Neil"]
prompt = "".join(f"[{who}]: hello {i}\n" for i, who in enumerate(people[:30])) + "[SallyBot]:"
stops = [f"\n[{who}]" for who in people] + ["\n["]
for n in 30, 39:
    body = {"prompt": prompt, **sampling, "stopping_strings": stops[:n - 1] + stops[-1:], "max_new_tokens": 80}
    text = post("/api/v1/generate", body)["results"][0]["text"]
    check(text.strip() and "\n[" not in text, "the bot speaks for others", text)
    pieces = [frame["text"] for frame in asyncio.run(frames("/api/v1/stream", body))]
    check("".join(pieces) == text, "streamed and whole differ", pieces, text)
    later = {**sampling, "prompt": prompt, "stop": body["stopping_strings"], "max_tokens": 80, "mode": "instruct", "stream": False}
    check(post("/v1/completions", later)["choices"][0]["text"] == text, "the age makes a difference")

# the models, the tokens, a stop when there is nothing to stop
check(requests.get(base + "/api/v1/model", timeout=60).json()["result"], "no model")
model = post("/api/v1/model", {"action": "info"})["result"]["model_name"]
check(model in post("/api/v1/model", {"action": "list"})["result"], model)
check(post("/api/v1/stop-stream", {})["results"] == "success", "stop")
count = post("/api/v1/token-count", {"prompt": prompt})["results"][0]["tokens"]
tokens = post("/v1/internal/encode", {"text": prompt})
check(count == tokens["length"] == len(tokens["tokens"]) == post("/v1/internal/token-count", {"text": prompt})["length"], "counts differ")
check(prompt in post("/v1/internal/decode", {"tokens": tokens["tokens"]})["text"], "decoded")
check(requests.get(base + "/v1/internal/model/info", timeout=60).json()["model_name"] == model, "info")

# today's: the client sends messages, and the server knows the character
messages = []
for said in "Hi", "What's your name?":
    messages.append({"role": "user", "content": said})
    body = {"messages": messages, "mode": "chat", "character": "Mira", "temperature": 0, "max_tokens": 60}
    reply = post("/v1/chat/completions", body)["choices"][0]["message"]["content"]
    check(reply and not leaks(reply) and not reply.startswith(" "), reply)
    messages.append({"role": "assistant", "content": reply})
shown = post("/v1/internal/chat-prompt", {"messages": messages[:3], "mode": "chat", "character": "Mira"})["prompt"]
check(shown.startswith("Mira is a pirate captain") and "\nMira: Ahoy, You!\nYou: Hi\n" in shown and shown.endswith("\nMira:"), shown)
print("today", [m["content"] for m in messages])
