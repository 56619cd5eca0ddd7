// Looks at every page in every state, in Chromium:
//
//   node look.mjs BASE FOLDER [STATE,STATE…]
//
// BASE is an edge of any event; what pages are told is put in by this script, so that each state stands still. Pictures
// go to FOLDER, for people. What it finds wrong is printed and is its exit status: violations of the content security
// policy, script errors, sideways scrolling, elements outside of the view, and whatever axe finds (WCAG 2.2 AA).
import { launch, newPage } from './chromium.mjs';
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const [base, folder] = process.argv.slice(2);
const only = process.argv[4];
mkdirSync(folder, { recursive: true });
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

const NOW = Date.parse('2026-12-01T01:30:00Z');
const at = (minutes) => new Date(NOW + minutes * 60_000).toISOString();
const LONG = 'Grundlagen der nichtlinearen Elastizitätstheorie und ihre Anwendung auf dünnwandige Strukturen unter zyklischer Belastung: von den Erhaltungssätzen bis zur numerischen Simulation, mit Beispielen a.d. Praxis';
const MARKUP = '<img src=x onerror=alert(1)> ]]> & "quotes"';
const LOGO = `data:image/svg+xml;base64,${Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40"><rect width="120" height="40" rx="8" fill="#a01020"/><circle cx="24" cy="20" r="10" fill="#fff"/></svg>').toString('base64')}`;

const usual = {
  version: 1, event: { title: 'Open lectures' }, page: {},
  streams: [
    { name: 'hall-a', title: 'Hall A', state: 'live', since: at(-32) },
    { name: 'hall-b', title: 'Hall B, North Wing', state: 'live', since: at(-3) },
    { name: 'workshop', title: 'Workshop', state: 'idle' },
    { name: 'library', title: 'Library', state: 'ended' },
  ],
  sessions: [
    { title: 'Morning: fields and forces', start: at(-30), end: at(120), streams: ['hall-a', 'hall-b'] },
    { title: 'Workshop: build a telescope', start: at(43.2), end: at(160), streams: ['workshop'] },
    { title: 'Afternoon', start: at(270), end: at(420), streams: [] },
    { title: 'Second day', start: at(1440), end: at(1600), streams: [] },
    { title: 'Third day', start: at(2880), end: at(3000), streams: ['hall-a'] },
    { title: 'Fourth day', start: at(4320), end: at(4400), streams: [] },
  ],
};
const idle = { ...usual, streams: usual.streams.map((stream) => ({ ...stream, state: 'idle' })) };
const hard = {
  ...usual, event: { title: LONG }, page: { logo: LOGO, accentColor: '#a01020' },
  streams: [
    { name: 'hall-a', title: LONG, state: 'live', since: at(-32) }, { name: 'hall-b', title: 'قاعة المحاضرات الكبرى في الطابق الثاني', state: 'live', since: at(-3) },
    { name: 'workshop', title: MARKUP, state: 'idle' }, { name: 'library', title: 'M'.repeat(200), state: 'ended' },
  ],
  sessions: [
    { title: LONG, start: at(-30), end: at(120), streams: ['hall-a', 'hall-b', 'workshop'] }, { title: MARKUP, start: at(43), end: at(160), streams: [] },
    { title: 'محاضرة عامة: الحقول والقوى', start: at(270), end: at(420), streams: ['hall-b'] }, { title: 'W'.repeat(200), start: at(500), end: at(520), streams: ['library'] },
  ],
};
const crowded = { ...usual, streams: Array.from({ length: 64 }, (_, n) => ({ name: `hall-${n}`, title: `Hall ${n + 1}`, state: n % 3 ? 'idle' : 'live', since: at(-9) })) };

// name, path, what the page is told, what the player is told, what is waited for
const hall = { path: '/live/hall-a/', told: usual, playlist: 'hangs' };
const SCENES = {
  programme: { path: '/', told: usual },
  'programme-hard': { path: '/', told: hard },
  'programme-64': { path: '/', told: crowded },
  'programme-empty': { path: '/', told: { version: 1, event: { title: 'Open lectures' }, streams: [], sessions: [] } },
  'programme-zh': { path: '/?lang=zh', told: usual },
  countdown: { path: '/live/workshop/', told: usual, state: 'idle', wait: 'waiting' },
  waiting: { path: '/live/hall-a/', told: { ...idle, sessions: [] }, state: 'idle', wait: 'waiting' },
  starting: { ...hall, wait: 'starting' },
  playing: { ...hall, wait: 'playing', act: 'playing' },
  paused: { ...hall, wait: 'paused', act: 'paused' },
  holding: { ...hall, wait: 'holding', act: 'holding' },
  full: { ...hall, playlist: 503, wait: 'full' },
  lost: { ...hall, state: 'none', wait: 'lost' },
  ended: { path: '/live/library/', told: usual, state: 'ended', wait: 'ended' },
  'ended-last': { path: '/live/library/', told: { ...usual, sessions: [] }, state: 'ended', wait: 'ended' },
  unknown: { path: '/live/hall-z/', told: usual, state: 404, wait: 'unknown' },
  unsupported: { ...hall, wait: 'unsupported', act: 'unsupported' },
  'hall-hard': { ...hall, told: hard, wait: 'playing', act: 'playing' },
  'hall-zh': { path: '/live/workshop/?lang=zh', told: usual, state: 'idle', wait: 'waiting' },
  several: { ...hall, path: '/live/hall-a/?with=hall-b', wait: 'playing', act: 'playing' },
  keys: { ...hall, wait: 'playing', act: 'playing', press: '?' },
  embed: { ...hall, path: '/embed/hall-a', wait: 'playing', act: 'playing' },
  'embed-waiting': { path: '/embed/workshop', told: usual, state: 'idle', wait: 'waiting' },
  'embed-full': { ...hall, path: '/embed/hall-a', playlist: 503, wait: 'full' },
};
const SIZES = [[320, 640], [390, 844], [768, 1024], [1440, 900]];

/** What the edge would answer is put in here. */
async function tell(page, scene) {
  const json = (body) => ({ contentType: 'application/json', body: JSON.stringify(body) });
  await page.route('**/programme.json', (route) => route.fulfill(json(scene.told)));
  await page.route('**/state.json', (route) => {
    if (scene.state === 'none') return route.abort();
    return typeof scene.state === 'number' ? route.fulfill({ status: scene.state, body: '' }) : route.fulfill(json({ version: 1, state: scene.state ?? 'live' }));
  });
  await page.route('**/index.m3u8', (route) => {
    if (scene.playlist === 503) return route.fulfill({ status: 503, headers: { 'retry-after': '600' }, body: 'this edge is full; others may have room\n' });
    return undefined; // Never answered: the player is opening it.
  });
}

/** Brings players into a state that needs a picture: gives them one, and says what a video element would. */
async function act(page, what) {
  await page.waitForFunction(() => [...document.querySelectorAll('lectern-player')].every((player) => player.state === 'starting'));
  await page.evaluate((what) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 });
    const paint = canvas.getContext('2d');
    const sky = paint.createLinearGradient(0, 0, 1280, 720);
    sky.addColorStop(0, '#3a5f8a');
    sky.addColorStop(1, '#d9a066');
    paint.fillStyle = sky;
    paint.fillRect(0, 0, 1280, 720);
    for (const { video } of document.querySelectorAll('lectern-player')) {
      video.poster = canvas.toDataURL('image/jpeg');
      video.dispatchEvent(new Event('playing'));
      if (what === 'paused') video.dispatchEvent(new Event('pause'));
      if (what === 'holding') video.dispatchEvent(new Event('waiting'));
    }
  }, what);
}

/** What must not be, whatever the state. */
function misplaced() {
  const width = document.documentElement.clientWidth;
  const wrong = [];
  if (document.documentElement.scrollWidth > width) wrong.push(`scrolls sideways: ${document.documentElement.scrollWidth} > ${width}`);
  const roots = [document, ...[...document.querySelectorAll('lectern-player')].map((player) => player.shadowRoot)];
  for (const root of roots) {
    for (const one of root.querySelectorAll('button, a, h1, h2, p, .title, .state, .chip, .time, .clock')) {
      const box = one.getBoundingClientRect();
      if (box.width === 0 || !one.checkVisibility({ opacityProperty: true })) continue;
      if (box.left < -1 || box.right > width + 1) wrong.push(`outside of the view: ${one.className || one.tagName} at ${Math.round(box.left)} to ${Math.round(box.right)}`);
      const target = one.matches('button, .bar input') ? Math.min(box.width, box.height) : 24;
      if (target < 24) wrong.push(`small target: ${one.className} ${Math.round(box.width)} x ${Math.round(box.height)}`);
    }
  }
  // A message must not run into the bar.
  for (const player of document.querySelectorAll('lectern-player')) {
    const message = player.shadowRoot.querySelector('.message');
    if (!message.hidden && message.scrollHeight > message.clientHeight + 1) wrong.push(`message cut: ${message.scrollHeight} > ${message.clientHeight}`);
  }
  return wrong;
}

let faults = 0;
function complain(where, what) {
  faults += 1;
  console.log(`${where}: ${what}`);
}

async function look(browser, name, scene) {
  const page = await newPage(browser, { viewport: { width: 1024, height: 768 } });
  await page.clock.install({ time: NOW });
  await tell(page, scene);
  if (scene.act === 'unsupported') await page.addInitScript(unable);
  await page.goto(base + scene.path);
  await page.waitForSelector(scene.wait ? 'lectern-player' : '#programme');
  if (scene.act && scene.act !== 'unsupported') await act(page, scene.act);
  if (scene.wait) {
    const isSo = (wanted) => [...document.querySelectorAll('lectern-player')].every((player) => player.state === wanted);
    for (let n = 0; n < 40 && !(await page.evaluate(isSo, scene.wait)); n += 1) await page.clock.runFor(1_000);
    if (!(await page.evaluate(isSo, scene.wait))) complain(name, `is not ${scene.wait}`);
  }
  if (scene.wait === 'holding') await page.clock.runFor(4_000);
  if (scene.press) { await page.focus('lectern-player'); await page.keyboard.press(scene.press); }
  for (const [width, height] of SIZES) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ['light', 'dark']) {
      const where = `${name}-${width}-${colorScheme}`;
      await page.emulateMedia({ colorScheme });
      if (scene.act === 'playing') await showBar(page);
      await page.screenshot({ path: join(folder, `${where}.png`), fullPage: !scene.path.startsWith('/embed') && name !== 'programme-64' });
      for (const wrong of await page.evaluate(misplaced)) complain(where, wrong);
    }
  }
  for (const fault of await page.faults()) complain(name, fault);
  await page.context().close();
}

/** A browser that plays nothing. */
function unable() {
  for (const name of ['MediaSource', 'ManagedMediaSource', 'WebKitMediaSource']) delete window[name];
  HTMLMediaElement.prototype.canPlayType = () => '';
}

function showBar(page) {
  return page.evaluate(() => document.querySelectorAll('lectern-player').forEach((player) => player.classList.add('awake')));
}

async function audit(browser, name, scene) {
  // axe is a script that the page's policy would not run: without the policy in this look alone.
  const page = await newPage(browser, { viewport: { width: 1024, height: 768 }, bypassCSP: true });
  await tell(page, scene);
  if (scene.act === 'unsupported') await page.addInitScript(unable);
  await page.goto(base + scene.path);
  await page.waitForSelector(scene.wait ? 'lectern-player' : '#programme');
  if (scene.act && scene.act !== 'unsupported') await act(page, scene.act);
  if (scene.press) { await page.focus('lectern-player'); await page.keyboard.press(scene.press); }
  await page.evaluate(axe);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    if (scene.act === 'playing') await showBar(page);
    const { violations, passes } = await page.evaluate((rules) => window.axe.run(document, { runOnly: rules }), RULES);
    for (const one of violations) complain(`axe ${name} ${colorScheme}`, `${one.id} (${one.impact}), ${one.nodes.length}: ${one.nodes[0].html.slice(0, 140)} ${one.nodes[0].any[0]?.message ?? ''}`);
    if (passes.length < 10) complain(`axe ${name}`, `only ${passes.length} rules applied`);
  }
  await page.context().close();
}

const browser = await launch();
for (const [name, scene] of Object.entries(SCENES)) {
  if (only && !only.split(',').includes(name)) continue;
  await look(browser, name, scene);
  await audit(browser, name, scene);
}
await browser.close();
console.log(`looked at ${Object.keys(SCENES).length} states: ${faults} faults`);
process.exit(faults === 0 ? 0 : 1);
