// Plays HLS streams with hls.js in headless Chromium, each from the beginning of its list to its end, some at a time,
// and prints a line of JSON for each:
//
//   node shapes.mjs URL...
//
// {"url", "time": position in s, "end": of the list in s, "frames": decoded, "errors": [...],
//  "restarts": errors after which a new player began at the segment in question, "fatal": other errors that ended a player}
import { createRequire } from 'node:module';
import { launch, newPage } from './chromium.mjs';

/** Every list was whole when this began, so that a player that has not come to its end by then does not play. */
const PATIENCE_MS = 40_000;
/** A player need not show the last picture. */
const END_S = 0.5;
/** At once: as many as the tests' machine shows in time with much to spare. */
const PLAYERS = 10;
/** hls.js makes its buffers for the tracks of the first segment: where another track begins, a player begins again, as the page does. */
const RESTARTS = 1;

const play = ({ url, patienceMs, endS, restarts }) => new Promise((resolve) => {
  const { Hls } = window;
  const seen = { url, errors: [], restarts: [], fatal: [] };
  // It stays outside of the page: without a graphics processor drawing costs more than decoding.
  const video = document.createElement('video');
  video.muted = true;
  let [hls, end, frames] = [null, Infinity, 0];
  const decoded = () => frames + video.getVideoPlaybackQuality().totalVideoFrames;
  const begin = (startPosition) => {
    hls = new Hls({ startPosition });
    hls.on(Hls.Events.LEVEL_LOADED, (_, { details }) => { end = details.edge; });
    hls.on(Hls.Events.ERROR, (_, error) => failed(error));
    hls.loadSource(url);
    hls.attachMedia(video);
    video.play().catch((error) => seen.errors.push(String(error)));
  };
  const failed = (error) => {
    const text = `${error.type}: ${error.details} ${error.error ?? ''}`;
    if (!error.fatal) return seen.errors.push(text);
    if (error.error?.name !== 'HlsJsTrackRemovedError' || seen.restarts.length === restarts) return seen.fatal.push(text);
    seen.restarts.push(text);
    frames = decoded();
    hls.destroy();
    return begin(error.frag.start);
  };
  const until = Date.now() + patienceMs;
  const look = () => {
    const over = video.currentTime >= end - endS || seen.fatal.length > 0 || Date.now() > until;
    if (!over) return setTimeout(look, 100);
    resolve({ ...seen, time: video.currentTime, end, frames: decoded() });
    return hls.destroy();
  };
  begin(0);
  look();
});

/** What an edge answers for a list and all that it names, by URL. An edge serves a list for a minute after its encoder left. */
async function fetched(index) {
  const answers = new Map();
  const take = async (url) => {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`failed to fetch ${url}: ${response.status} ${await response.text()}`);
    const body = Buffer.from(await response.arrayBuffer());
    answers.set(url, { status: response.status, headers: Object.fromEntries(response.headers), body });
    return body.toString().split('\n').filter((line) => line && !line.startsWith('#')).map((line) => new URL(line, url).href);
  };
  for (const media of await take(index)) {
    for (const segment of await take(media)) await take(segment);
  }
  return answers;
}

const urls = process.argv.slice(2);
const answers = new Map((await Promise.all(urls.map(fetched))).flatMap((some) => [...some]));
const browser = await launch();
const page = await newPage(browser);
await page.route('**', (route) => {
  const answer = answers.get(route.request().url());
  return answer ? route.fulfill(answer) : route.continue();
});
// A page of the edge's own origin without a policy of its own.
await page.goto(new URL('/programme.json', urls[0]).href);
await page.addScriptTag({ path: createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js') });
const left = [...urls];
const player = async () => {
  for (let url; (url = left.shift());) {
    console.log(JSON.stringify(await page.evaluate(play, { url, patienceMs: PATIENCE_MS, endS: END_S, restarts: RESTARTS })));
  }
};
await Promise.all(Array.from({ length: PLAYERS }, player));
await browser.close();
