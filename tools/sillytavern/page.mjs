// One conversation through SillyTavern's page, by its own controls: connect, greeting, send, swipe, continue, stop.
// Usage: page.mjs TAVERN_URL PARLEY_URL PRESET
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { launch, start } from "./browser.mjs";

const [tavern, parley, preset] = process.argv.slice(2);
const patience = 60_000;

const form = new FormData();
for (const [name, value] of Object.entries({
  ch_name: "Robin",
  description: "Robin is a gardener who likes short answers.",
  first_mes: "Hello, I am Robin.",
  mes_example: "<START>\nAnn: Are you there?\nRobin: Among the beans.",
})) form.append(name, value);
assert.equal((await fetch(tavern + "/api/characters/create", { method: "POST", body: form })).status, 200);

const browser = await launch();
const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
page.setDefaultTimeout(patience);

const context = (f, arg) => page.evaluate(`(${f})(SillyTavern.getContext(), ${JSON.stringify(arg)})`);
const until = (f, arg) => page.waitForFunction(`(${f})(SillyTavern.getContext(), ${JSON.stringify(arg)})`);
const last = () => context((c) => { const m = c.chat.at(-1); return { by: m.name, text: m.mes, swipes: m.swipes?.length ?? 1 }; });
const idle = () => page.waitForFunction(() => document.body.dataset.generating !== "true" && !document.querySelector("#mes_stop")?.checkVisibility());
const open = (drawer) => page.click(`${drawer} .drawer-toggle`);

try {
  await start(page, tavern);

  // connect
  await open("#sys-settings-button");
  await page.selectOption("#main_api", "openai", { force: true });
  await page.selectOption("#chat_completion_source", "custom", { force: true });
  await page.fill("#custom_api_url_text", parley + "/v1");
  await page.click("#api_button_openai");
  await until((c) => c.onlineStatus !== "no_connection");
  await page.locator("#model_custom_select option", { hasText: "parley-demo" }).waitFor({ state: "attached" });
  await open("#sys-settings-button");

  // the preset, by the button that imports one
  await page.setInputFiles("#openai_preset_import_file", preset);
  await page.locator("dialog.popup[open] .popup-button-cancel", { hasText: "Import as-is" }).click();
  await until((c, want) => c.chatCompletionSettings.custom_include_body === want, JSON.parse(readFileSync(preset)).custom_include_body);
  await until((c) => c.chatCompletionSettings.stream_openai === true && c.onlineStatus !== "no_connection");

  // the greeting
  await open("#rightNavHolder");
  await context((c) => { c.eventSource.once(c.eventTypes.CHAT_LOADED, () => { window.chatLoaded = true; }); });
  const robin = page.locator(".character_select", { hasText: "Robin" });
  const loaded = (timeout) => page.waitForFunction(() => window.chatLoaded, undefined, { timeout }); // what is sent before is shown twice
  await robin.click();
  await loaded(patience / 4).catch(async () => { // the page may have drawn its list anew, and the click was on what is gone
    await robin.click();
    await loaded(patience);
  });
  assert.deepEqual(await last(), { by: "Robin", text: "Hello, I am Robin.", swipes: 1 });

  // send
  await page.fill("#send_textarea", "What is your name?");
  await page.click("#send_but");
  await until((c) => c.chat.length === 3);
  await idle();
  const first = await last();
  assert.equal(first.by, "Robin");
  assert.notEqual(first.text.trim(), "");
  console.log("answer:", first.text);

  // swipe
  assert.equal(await page.locator("#chat .mes").count(), 3);
  await page.locator("#chat .last_mes .swipe_right").click();
  await until((c) => c.chat.at(-1).swipes?.length === 2);
  await idle();
  const second = await last();
  assert.notEqual(second.text.trim(), "");
  console.log("swipe:", second.text);

  // continue
  await page.click("#options_button");
  await page.click("#option_continue");
  await until((c, before) => c.chat.at(-1).mes.length > before, second.text.length);
  await idle();
  const third = await last();
  assert.ok(third.text.startsWith(second.text), `${third.text} does not continue ${second.text}`);
  assert.equal(await context((c) => c.chat.length), 3);
  console.log("continued:", third.text);

  // stop, in an answer that does not end by itself
  await context((c) => { c.chatCompletionSettings.custom_include_body = "ignore_eos: true"; c.chatCompletionSettings.openai_max_tokens = 3000; });
  await page.fill("#send_textarea", "Write a haiku about apples.");
  await page.click("#send_but");
  await until((c) => c.chat.length === 5 && c.chat.at(-1).mes.length > 20);
  await page.click("#mes_stop");
  await idle();
  const stopped = await last();
  assert.equal(await context((c) => c.chat.length), 5);
  assert.notEqual(stopped.text.trim(), "");
  console.log("stopped after", stopped.text.length, "characters");
} finally {
  await browser.close();
}
