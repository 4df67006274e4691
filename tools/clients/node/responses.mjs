// The Responses API by OpenAI's SDK for Node. Usage: responses.mjs BASE_URL
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ apiKey: "none", baseURL: process.argv[2] + "/v1", maxRetries: 0 });
const asked = {
  model: "x", temperature: 0, instructions: "you are a helpful assistant",
  input: [{ role: "user", content: "Write a haiku about rain." }, { role: "system", content: "you love the color blue" }],
};

const whole = await client.responses.create(asked);
const text = whole.output_text;
assert.match(text, /blue/);
assert.equal(whole.status, "completed");

let streamed = "", last;
for await (const event of await client.responses.create({ ...asked, stream: true })) {
  if (event.type === "response.output_text.delta") streamed += event.delta;
  last = event;
}
assert.equal(streamed, text);
assert.equal(last.type, "response.completed");

// the helper that puts a stream together
assert.equal((await client.responses.stream(asked).finalResponse()).output_text, text);

// going on from it
const next = await client.responses.create({ model: "x", temperature: 0, input: "And now?", previous_response_id: whole.id });
assert.equal(next.previous_response_id, whole.id);
assert.ok(next.usage.input_tokens > whole.usage.output_tokens);

// an answer of a given form, taken apart by the SDK
const schema = { type: "object", properties: { happy: { type: "boolean" } }, required: ["happy"], additionalProperties: false };
const given = await client.responses.parse({ ...asked, text: { format: { type: "json_schema", name: "mood", strict: true, schema } } });
assert.equal(typeof given.output_parsed.happy, "boolean");

// leaving in the middle
const abort = new AbortController();
await assert.rejects(async () => {
  const stream = await client.responses.create({ ...asked, stream: true }, { signal: abort.signal });
  for await (const _ of stream) abort.abort(new Error("enough"));
  abort.signal.throwIfAborted();
});

await assert.rejects(
  client.responses.create({ model: "x", input: [{ type: "item_reference", id: "msg_1" }] }),
  (e) => e instanceof OpenAI.BadRequestError && e.param === "input[0].type",
);
console.log(text);
