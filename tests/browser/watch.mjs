// Plays one HLS URL with hls.js in headless Chromium and prints a line of JSON every 200 ms, until standard input ends
// or the time is up:
//
//   node watch.mjs URL SECONDS
//
// {"at": unix ms, "time": position in s, "frames": decoded, "dropped": …, "date": programme time in ms of the picture,
//  "stalls": [{"at", "ms"}], "still": ms since the position last moved, "errors": ["networkError: …"], "fatal": [...],
//  "discontinuities": unix ms at which the discontinuity number of what is played changed, "ended": true at the end}
import { chromium } from 'playwright-core';
import { createRequire } from 'node:module';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [url, seconds] = process.argv.slice(2);
const hlsPath = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js');
const executablePath = [process.env.LECTERN_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'].find((p) => p && existsSync(p));
const profile = mkdtempSync(join(tmpdir(), 'lectern-browser-'));

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  chromiumSandbox: process.getuid() !== 0,
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--autoplay-policy=no-user-gesture-required', '--mute-audio'],
});
const page = context.pages()[0] ?? await context.newPage();
page.on('pageerror', (error) => console.error(`page: ${error}`));

// A position that falls behind the clock by more than this at once is a stall, as hls.js's own watchdog has it.
const STALL_MS = 250;

await page.setContent('<video muted autoplay playsinline></video>');
await page.addScriptTag({ path: hlsPath });
await page.evaluate(({ url, stallMs }) => {
  const video = document.querySelector('video');
  const seen = { errors: [], fatal: [], stalls: [], discontinuities: [], ended: false, still: 0 };
  let last = { time: -1, at: Date.now() };
  let cc = null;
  // A page that came late because the machine was busy catches up to its usual three target durations.
  const hls = new Hls({ maxLiveSyncPlaybackRate: 1.5 });
  hls.on(Hls.Events.ERROR, (_, e) => {
    const text = `${new Date().toISOString()} ${e.type}: ${e.details}${e.response ? ` ${e.response.code}` : ''} ${e.error ?? ''}`;
    (e.fatal ? seen.fatal : seen.errors).push(text);
    // What a page does: the network is given another chance, a broken decoder is recovered.
    if (e.fatal && e.type === Hls.ErrorTypes.NETWORK_ERROR) setTimeout(() => hls.loadSource(url), 1000);
    if (e.fatal && e.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
  });
  hls.on(Hls.Events.FRAG_CHANGED, (_, { frag }) => {
    if (cc !== null && frag.cc !== cc) seen.discontinuities.push(Date.now());
    cc = frag.cc;
  });
  video.addEventListener('ended', () => { seen.ended = true; });
  setInterval(() => {
    const at = Date.now();
    if (video.currentTime !== last.time) {
      // Time that passed and was not played. This script itself may have been late: that is no stall of the picture.
      const missing = at - last.at - (video.currentTime - last.time) * 1000;
      if (last.time > 0 && missing > stallMs) seen.stalls.push({ at: last.at, ms: Math.round(missing) });
      last = { time: video.currentTime, at };
    }
    seen.still = at - last.at;
  }, 40);
  window.sample = () => {
    const quality = video.getVideoPlaybackQuality();
    return {
      at: Date.now(), time: video.currentTime, frames: quality.totalVideoFrames, dropped: quality.droppedVideoFrames,
      date: hls.playingDate ? hls.playingDate.getTime() : null, width: video.videoWidth, ...seen,
    };
  };
  hls.loadSource(url);
  hls.attachMedia(video);
}, { url, stallMs: STALL_MS });

let over = false;
process.stdin.on('end', () => { over = true; }).resume();
const end = Date.now() + Number(seconds) * 1000;
while (!over && Date.now() < end) {
  console.log(JSON.stringify(await page.evaluate(() => window.sample())));
  await new Promise((resolve) => setTimeout(resolve, 200));
}
await context.close();
rmSync(profile, { recursive: true, force: true });
