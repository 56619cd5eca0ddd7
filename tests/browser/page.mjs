// Opens pages of edges in headless Chromium and prints a line of JSON every 200 ms, until standard input ends or the time
// is up:
//
//   node page.mjs SECONDS OPTIONS URL…
//
// OPTIONS is JSON: {"clockOffMs": how far the viewer's clock is ahead, "timezone": its zone, "muted": only silent videos
// start by themselves}. A line of standard input `KEY n` presses KEY in page n.
//
// {"at": unix ms, "pages": [{"title", "loads": how often the page was loaded, "players": [{"stream", "state", "text",
//  "time", "frames", "muted", "width"}], "faults": violations of its policy and script errors, "origins": whom it asked,
//  "kept": what it stored}]}
import { createInterface } from 'node:readline';
import { launch, newPage } from './chromium.mjs';

const [seconds, options, ...urls] = process.argv.slice(2);
const { clockOffMs = 0, timezone = 'Asia/Shanghai', muted = false } = JSON.parse(options);
const browser = await launch({ autoplay: !muted });

async function open(url) {
  const page = await newPage(browser, { viewport: { width: 640, height: 480 }, timezoneId: timezone });
  if (clockOffMs !== 0) {
    await page.addInitScript((off) => {
      const { now } = Date;
      const RealDate = Date;
      window.Date = class extends RealDate {
        constructor(...args) { if (args.length === 0) super(now() + off); else super(...args); }
        static now() { return now() + off; }
      };
    }, clockOffMs);
  }
  const origins = new Set();
  let loads = 0;
  page.on('request', (request) => { if (!request.url().startsWith('blob:') && !request.url().startsWith('data:')) origins.add(new URL(request.url()).origin); });
  page.on('load', () => { loads += 1; });
  await page.goto(url);
  return { page, sample: async () => ({ ...(await page.evaluate(sampled)), loads, faults: await page.faults(), origins: [...origins], cookies: (await page.context().cookies()).length }) };
}

function sampled() {
  const players = [...document.querySelectorAll('lectern-player')].map((player) => {
    const { video } = player;
    const text = [...player.shadowRoot.querySelectorAll('.message:not([hidden]) .clock:not([hidden]), .message:not([hidden]) p')].map((line) => line.textContent).join('\n');
    return { stream: player.stream, state: player.state, text, time: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames, muted: video.muted, width: video.videoWidth };
  });
  const kept = [...Object.keys(localStorage), ...Object.keys(sessionStorage)];
  return { title: document.title, players, kept };
}

const pages = await Promise.all(urls.map(open));
let over = false;
// By lines: what one write says may come in pieces.
createInterface({ input: process.stdin }).on('line', async (line) => {
  const [key, number] = line.split(' ');
  await pages[Number(number)].page.keyboard.press(key);
}).on('close', () => { over = true; });
const end = Date.now() + Number(seconds) * 1000;
while (!over && Date.now() < end) {
  const samples = await Promise.all(pages.map(({ sample }) => sample()));
  console.log(JSON.stringify({ at: Date.now(), pages: samples }));
  await new Promise((resolve) => { setTimeout(resolve, 200); });
}
await browser.close();
