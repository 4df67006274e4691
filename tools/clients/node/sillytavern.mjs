// A front end's request as it was reported, cut out of the document: an object literal, from a line "{" to a line "}".
// Usage: sillytavern.mjs BASE_URL DOCUMENT
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";

const [base, document] = process.argv.slice(2);
const literal = readFileSync(document, "utf8").match(/^\{\n[^]*?^\}$/m)[0];
const request = runInNewContext(`(${literal})`);
assert.equal(request.messages.length, 8);
assert.equal(request.stream, true);

const post = (path, body) =>
  fetch(base + path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

// every message is in the prompt, in place
const rendered = await (await post("/parley/v1/render", request)).json();
let at = 0;
for (const { content } of request.messages) {
  const found = rendered.text.indexOf(content, at);
  assert.ok(found >= at, `${JSON.stringify(content)} is not in the prompt after place ${at}`);
  at = found + content.length;
}

// and it is answered, as a stream
const answer = await post("/v1/chat/completions", request);
assert.equal(answer.status, 200);
let text = "";
const events = (await answer.text()).split("\n\n").filter((e) => e.startsWith("data: ")).map((e) => e.slice(6));
assert.equal(events.pop(), "[DONE]");
for (const e of events) text += JSON.parse(e).choices[0]?.delta?.content ?? "";
assert.notEqual(text.trim(), "");

// what JSON can say and JavaScript leaves out: the same fields as null
const nulls = Object.fromEntries(Object.entries(request).map(([k, v]) => [k, v ?? null]));
assert.equal((await post("/v1/chat/completions", { ...nulls, stream: null, temperature: 0 })).status, 200);
console.log(text);
