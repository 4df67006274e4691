// Ollama's JavaScript client, as applications use it. Usage: ollama.mjs BASE_URL
import assert from "node:assert/strict";
import { Ollama } from "ollama";

const client = new Ollama({ host: process.argv[2] });
const { models } = await client.list();
assert.equal(models.length, 1);
const model = models[0].name;
assert.ok((await client.show({ model })).capabilities.includes("completion"));

const messages = [
  { role: "system", content: "you are a helpful assistant" },
  { role: "user", content: "Write a haiku about rain." },
  { role: "system", content: "you love the color blue" },
];
const whole = await client.chat({ model, messages, options: { temperature: 0 } });
assert.match(whole.message.content, /blue/);
assert.equal(whole.done_reason, "stop");
assert.ok(whole.prompt_eval_count > 0 && whole.eval_count > 0);

let streamed = "";
for await (const part of await client.chat({ model, messages, stream: true, options: { temperature: 0 } })) {
  streamed += part.message.content;
}
assert.equal(streamed, whole.message.content);

const stop = streamed.slice(10, 14);
const cut = await client.chat({ model, messages, options: { temperature: 0, stop: [stop] } });
assert.equal(cut.message.content, streamed.slice(0, streamed.indexOf(stop)));

const held = await client.chat({
  model, messages, options: { num_predict: 60 },
  format: { type: "object", properties: { color: { enum: ["blue", "red"] } }, required: ["color"], additionalProperties: false },
});
assert.ok(["blue", "red"].includes(JSON.parse(held.message.content).color));

// a prompt, and the next one from where it ended
const first = await client.generate({ model, prompt: "My name is Ann.", options: { temperature: 0 } });
assert.ok(first.context.length > 0);
const second = await client.generate({ model, prompt: "What is my name?", context: first.context, options: { temperature: 0 } });
assert.ok(second.prompt_eval_count > first.context.length, "the earlier turn is part of the prompt");

const raw = await client.generate({ model, prompt: "Once", raw: true, options: { num_predict: 4 } });
assert.equal(raw.done_reason, "length");

const running = await client.ps();
assert.equal(running.models.length, 1);

const stream = await client.generate({ model, prompt: "Tell me a story.", stream: true });
await assert.rejects(async () => {
  for await (const _ of stream) stream.abort();
}, { name: "AbortError" });

await assert.rejects(client.chat({ model, messages: [{ role: "robot", content: "x" }] }), /role/);
const { embeddings, prompt_eval_count } = await client.embed({ model, input: ["green apples", "red apples"] });
assert.ok(embeddings.length === 2 && embeddings[0].length === embeddings[1].length && prompt_eval_count > 0);
assert.equal((await client.embeddings({ model, prompt: "green apples" })).embedding.length, embeddings[0].length);
await assert.rejects(client.embed({ model, input: "" }), /empty/);
