"""A client library of KoboldCpp: generate, stream, poll, abort, count, and back to text. Usage: kobold.py BASE_URL"""
import importlib.metadata
import importlib.util
import sys
import threading
import time

# The package imports what it does to pictures and films, too: its client is one file.
where = importlib.metadata.distribution("koboldapi").locate_file("koboldapi/core/api.py")
spec = importlib.util.spec_from_file_location("koboldapi_client", where)
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)

api = client.KoboldAPI(sys.argv[1])
prompt = "<|im_start|>user\nWrite a haiku about apples.<|im_end|>\n<|im_start|>assistant\n"


def check(ok, *what):
    if not ok:
        raise SystemExit(f"failed: {what}")


check(api.get_model().startswith("koboldcpp/"), api.get_model())
version = api.get_version()
check(version["result"] == "KoboldCpp" and version["version"], version)
check(api.get_max_context_length() >= 1024, api.get_max_context_length())

text = api.generate(prompt, max_length=60)
check(len(text.strip().splitlines()) == 3, text)
check(api.generate(prompt, max_length=60) == text, "the same request, another answer")
check(api.generate_sync(prompt, max_length=60) == text, "a stream says something else")
line = text.strip().splitlines()[1]
cut = api.generate(prompt, max_length=60, stop_sequence=[line[3:9]])
check(cut == text[:text.index(line[3:9])], cut)
trimmed = api.generate(prompt, max_length=60, stop_sequence=[line[3:9]], trim_stop=False)
check(trimmed == cut + line[3:9], trimmed)

check(api.get_performance_stats()["idle"] == 1, api.get_performance_stats())
count = api.count_tokens(prompt)
check(count["count"] == len(count["tokens"]) > 10, count)
check(api.detokenize(api.tokenize("Green apples, 苹果!")).strip() == "Green apples, 苹果!", "there and back")

# Polled while it runs, and ended by its key.
answer = []
thread = threading.Thread(target=lambda: answer.append(api.generate("Once", max_length=100_000, use_default_badwordsids=True, temp=1.5, top_k=0, min_p=0)))
thread.start()
deadline = time.monotonic() + 30
while not (polled := api.check_generation()):
    check(thread.is_alive() and time.monotonic() < deadline, "there was nothing to poll", answer)
client.KoboldAPI(sys.argv[1]).abort_generation()
check(thread.is_alive(), "another's key ended it", answer)
api.abort_generation()
thread.join(30)
check(not thread.is_alive() and answer and answer[0].startswith(polled), "it was not ended", polled, answer)
print("haiku:", text.strip().replace("\n", " / "), "| ended after", len(answer[0]), "letters")
