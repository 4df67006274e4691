// SillyTavern's page in a browser.
import { chromium } from "playwright-core";
import binary from "@sparticuz/chromium";

// launch starts the browser. The package's is for Linux on amd64; it is unpacked beside this script, and ends with its first page.
export async function launch() {
  process.env.TMPDIR = import.meta.dirname;
  const own = process.platform === "linux" && process.arch === "x64";
  return chromium.launch(own
    ? { executablePath: await binary.executablePath(), args: binary.args, headless: true }
    : { executablePath: process.env.PARLEY_BROWSER, headless: true });
}

// start opens the page and waits until it has started: it shows itself before it lists characters and opens its welcome chat.
export async function start(page, tavern) {
  const settings = await fetch(tavern + "/api/settings/get", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
  const isNew = JSON.parse((await settings.json()).settings).firstRun !== false;
  await page.goto(tavern);
  if (isNew) { // the first start asks for a name
    const welcome = page.locator("dialog.popup[open]:has(.onboarding)");
    await welcome.locator("textarea.popup-input").fill("Ann");
    await welcome.locator(".popup-button-ok").click();
    await welcome.waitFor({ state: "detached" });
  }
  await page.waitForFunction(() => window.SillyTavern?.getContext);
  await page.evaluate(() => {
    const { eventSource, eventTypes } = SillyTavern.getContext();
    eventSource.once(eventTypes.APP_READY, () => { window.appReady = true; });
  });
  await page.waitForFunction(() => window.appReady);
}
