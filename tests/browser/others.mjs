// Plays a stream in headless Chromium without hls.js and prints what came of it as one line of JSON:
//
//   node others.mjs native URL   fetches the multivariant and the media playlist by script, as hls.js does, and then hands
//                                the URL to the browser's own player
//   node others.mjs mpegts URL   plays HTTP-FLV by mpegts.js
//
// {"time": position in s, "frames": decoded, "width": of the picture, "error": what the player said, "info": what mpegts.js
//  found: {"video", "audio"}}
import { createRequire } from 'node:module';
import { launch, newPage } from './chromium.mjs';

/** Played for this long at least before it counts. */
const PLAYED_S = 4;
/** A player that has not come so far by then does not play. */
const PATIENCE_MS = 30_000;

const [how, url] = process.argv.slice(2);
const browser = await launch();
const page = await newPage(browser);
// A page of the edge's own origin without a policy of its own.
await page.goto(new URL('/programme.json', url).href);
await page.evaluate(() => {
  const video = document.createElement('video');
  video.muted = true;
  document.body.append(video);
  window.seen = { error: null, info: null };
});
if (how === 'native') {
  await page.evaluate(async (source) => {
    const text = await (await fetch(source)).text();
    const media = text.split('\n').find((line) => line !== '' && !line.startsWith('#'));
    await (await fetch(new URL(media, source))).text();
    const video = document.querySelector('video');
    video.addEventListener('error', () => { window.seen.error = `${video.error.code} ${video.error.message}`; });
    video.src = source;
    video.play().catch((error) => { window.seen.error = String(error); });
  }, url);
} else {
  await page.addScriptTag({ path: createRequire(import.meta.url).resolve('mpegts.js/dist/mpegts.js') });
  await page.evaluate((source) => {
    const { mpegts } = window;
    mpegts.LoggingControl.enableAll = false;
    const player = mpegts.createPlayer({ type: 'flv', isLive: true, url: source });
    player.on(mpegts.Events.ERROR, (kind, detail, more) => { window.seen.error = `${kind} ${detail} ${more?.msg ?? ''}`; });
    player.on(mpegts.Events.MEDIA_INFO, (info) => { window.seen.info = { video: info.hasVideo, audio: info.hasAudio }; });
    player.attachMediaElement(document.querySelector('video'));
    player.load();
    player.play();
  }, url);
}
const began = page.evaluate(({ playedS, patienceMs }) => new Promise((resolve) => {
  const video = document.querySelector('video');
  const until = Date.now() + patienceMs;
  let first = null;
  const look = () => {
    if (first === null && video.currentTime > 0) first = video.currentTime;
    const enough = first !== null && video.currentTime - first >= playedS;
    if (!enough && window.seen.error === null && Date.now() < until) return setTimeout(look, 100);
    const frames = video.getVideoPlaybackQuality().totalVideoFrames;
    return resolve({ time: video.currentTime - (first ?? video.currentTime), frames, width: video.videoWidth, ...window.seen });
  };
  look();
}), { playedS: PLAYED_S, patienceMs: PATIENCE_MS });
console.log(JSON.stringify(await began));
await browser.close();
