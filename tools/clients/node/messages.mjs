// The Anthropic SDK for Node, as agents use it. Usage: messages.mjs BASE_URL
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ apiKey: "none", baseURL: process.argv[2], maxRetries: 0 });
const request = {
  model: "x", max_tokens: 100, temperature: 0, system: "you love the color blue",
  messages: [{ role: "user", content: "Write a haiku about rain." }],
};

const whole = await client.messages.create(request);
assert.match(whole.content[0].text, /blue/);

let streamed = "";
const names = [];
for await (const event of await client.messages.create({ ...request, stream: true })) {
  names.push(event.type);
  if (event.type === "content_block_delta") streamed += event.delta.text;
}
assert.equal(streamed, whole.content[0].text);
assert.deepEqual([names[0], names[1], ...names.slice(-3)], ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]);

const helper = client.messages.stream(request);
assert.equal((await helper.finalMessage()).content[0].text, streamed);

const left = client.messages.stream(request);
left.on("text", () => left.abort());
await assert.rejects(left.finalMessage(), Anthropic.APIUserAbortError);

await assert.rejects(client.messages.create({ ...request, messages: [{ role: "user", content: [{ type: "video" }] }] }), Anthropic.BadRequestError);
