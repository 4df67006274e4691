// The OpenAI SDK for Node, as applications use it. Usage: sdk.mjs BASE_URL
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ apiKey: "none", baseURL: process.argv[2] + "/v1", maxRetries: 0 });
const messages = [
  { role: "system", content: "you are a helpful assistant" },
  { role: "user", content: "Write a haiku about rain." },
  { role: "system", content: "you love the color blue" },
];

const models = await client.models.list();
assert.equal(models.data.length, 1);

const whole = await client.chat.completions.create({ model: models.data[0].id, messages, temperature: 0 });
const text = whole.choices[0].message.content;
assert.match(text, /blue/);

let streamed = "";
for await (const part of await client.chat.completions.create({ model: "x", messages, temperature: 0, stream: true })) {
  streamed += part.choices[0]?.delta?.content ?? "";
}
assert.equal(streamed, text);

// the helper that puts a stream together
const helper = client.chat.completions.stream({ model: "x", messages, temperature: 0 });
assert.equal((await helper.finalChatCompletion()).choices[0].message.content, text);

// leaving in the middle
const abort = new AbortController();
await assert.rejects(async () => {
  const stream = await client.chat.completions.create({ model: "x", messages, stream: true }, { signal: abort.signal });
  for await (const _ of stream) abort.abort(new Error("enough"));
  abort.signal.throwIfAborted();
});

await assert.rejects(
  client.chat.completions.create({ model: "x", messages: [{ role: "user" }] }),
  (e) => e instanceof OpenAI.BadRequestError && e.param === "messages[0].content",
);
console.log(text);
