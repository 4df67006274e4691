// The OpenAI SDK for Node, as applications use it. Usage: sdk.mjs BASE_URL FORMAT
// FORMAT is a file with a chat template that has a place for tools.
import assert from "node:assert/strict";
import fs from "node:fs";
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

// an answer of a given form, taken apart by the SDK
const schema = { type: "object", properties: { happy: { type: "boolean" } }, required: ["happy"], additionalProperties: false };
const given = await client.chat.completions.parse({
  model: "x", messages, temperature: 0, response_format: { type: "json_schema", json_schema: { name: "mood", strict: true, schema } },
});
assert.equal(typeof JSON.parse(given.choices[0].message.content).happy, "boolean");

// tools: a call that is demanded, whole and streamed, and its result
const lamp = {
  type: "object", required: ["color", "level"], additionalProperties: false,
  properties: { color: { enum: ["green", "blue"] }, level: { type: "integer", minimum: 0, maximum: 9 } },
};
const calling = {
  model: "x", temperature: 2, seed: 3, messages: [{ role: "user", content: "Light!" }], tool_choice: "required",
  tools: [{ type: "function", function: { name: "lamp", strict: true, parameters: lamp } }], chat_template: fs.readFileSync(process.argv[3], "utf8"),
};
const called = (await client.chat.completions.create(calling)).choices[0];
assert.equal(called.finish_reason, "tool_calls");
assert.equal(called.message.tool_calls[0].function.name, "lamp");
const { color, level, ...more } = JSON.parse(called.message.tool_calls[0].function.arguments);
assert.ok(["green", "blue"].includes(color) && Number.isInteger(level) && level >= 0 && level <= 9);
assert.deepEqual(more, {});
const inParts = (await client.chat.completions.stream(calling).finalChatCompletion()).choices[0].message.tool_calls;
assert.equal(inParts.length, 1);
assert.equal(inParts[0].function.arguments, called.message.tool_calls[0].function.arguments);
const behind = await client.chat.completions.create({
  ...calling, tool_choice: "none", temperature: 0,
  messages: [...calling.messages, called.message, { role: "tool", tool_call_id: called.message.tool_calls[0].id, content: "lit" }],
});
assert.ok(behind.choices[0].message.content && !behind.choices[0].message.tool_calls);

// how likely each token was: the best of the two most likely is the one that temperature 0 took
const likely = await client.chat.completions.create({ model: "x", messages, temperature: 0, logprobs: true, top_logprobs: 2 });
const tokens = likely.choices[0].logprobs.content;
assert.equal(tokens.map((t) => t.token).join(""), text);
for (const t of tokens) {
  assert.ok(t.logprob <= 0 && t.top_logprobs.length === 2 && t.top_logprobs[0].logprob >= t.top_logprobs[1].logprob);
  assert.equal(t.top_logprobs[0].token, t.token);
}

// vectors, of texts and of one
const rows = await client.embeddings.create({ model: "x", input: ["green apples", "red apples"] });
const dot = (a, b) => a.reduce((sum, x, i) => sum + x * b[i], 0);
assert.equal(rows.data.length, 2);
assert.ok(Math.abs(dot(rows.data[0].embedding, rows.data[0].embedding) - 1) < 1e-4);
const alone = await client.embeddings.create({ model: "x", input: "green apples", encoding_format: "float" });
assert.ok(dot(alone.data[0].embedding, rows.data[0].embedding) > 0.9999);

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
