// Chats that Parley exported, opened by SillyTavern's page: its own button imports them, and it shows them.
// Usage: chats.mjs TAVERN_URL FOLDER, in which are NAME.png for each character, single.jsonl of the first and group.jsonl
// of all. Prints what the page made of each, in JSON.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { launch, start } from "./browser.mjs";

const [tavern, folder] = process.argv.slice(2);

const post = async (route, body) => {
  const form = body instanceof FormData;
  const answer = await fetch(tavern + route, { method: "POST", body: form ? body : JSON.stringify(body), headers: form ? {} : { "Content-Type": "application/json" } });
  if (!answer.ok) throw new Error(`${route}: ${answer.status}`);
  return answer.json();
};

const names = readdirSync(folder).filter((f) => f.endsWith(".png")).sort().map((f) => path.basename(f, ".png"));
const avatars = [];
for (const name of names) {
  const form = new FormData();
  form.append("avatar", new Blob([readFileSync(path.join(folder, name + ".png"))]), name + ".png");
  form.append("file_type", "png");
  avatars.push((await post("/api/characters/import", form)).file_name + ".png");
}
await post("/api/groups/create", { name: "Both", members: avatars });

let page;
const context = (f, arg) => page.evaluate(`(${f})(SillyTavern.getContext(), ${JSON.stringify(arg)})`);
const until = (f, arg) => page.waitForFunction(`(${f})(SillyTavern.getContext(), ${JSON.stringify(arg)})`);

// imported brings a file into the chat manager of who is open, and opens it.
async function imported(file) {
  await page.click("#options_button");
  await page.click("#option_select_chat");
  await page.setInputFiles("#chat_import_file", path.join(folder, file));
  await page.locator('#select_chat_div .select_chat_block:not([highlight="true"])').first().click(); // the highlighted one is open already
  await until((c) => c.chat.length > 2);
  await until((c) => document.querySelectorAll("#chat .mes").length === c.chat.length);
  const chat = await context((c) => c.chat.map((m) => ({ name: m.name, user: m.is_user, text: m.mes, swipes: m.swipes ?? [], at: m.swipe_id ?? 0, by: m.original_avatar ?? "" })));
  const shown = await page.locator("#chat .mes .mes_text").allInnerTexts();
  const last = page.locator("#chat .last_mes");
  const before = await context((c) => c.chat.at(-1).swipe_id);
  await last.locator(".swipe_left").click();
  await until((c, was) => c.chat.at(-1).swipe_id !== was, before);
  const swiped = await context((c) => c.chat.at(-1).mes);
  return { chat, shown, swiped };
}

const result = {};
for (const [file, kind, name] of [["single.jsonl", ".character_select", names[0]], ["group.jsonl", ".group_select", "Both"]]) {
  const browser = await launch();
  try {
    page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
    page.setDefaultTimeout(60_000);
    await start(page, tavern);
    await page.click("#rightNavHolder .drawer-toggle");
    await context((c) => { c.eventSource.once(c.eventTypes.CHAT_CHANGED, () => { window.chatLoaded = true; }); });
    await page.locator(kind, { hasText: name }).click();
    await page.waitForFunction(() => window.chatLoaded);
    await until((c) => c.groupId || c.characterId !== undefined);
    result[file] = await imported(file);
  } finally {
    await browser.close();
  }
}
console.log(JSON.stringify(result));
