// The player's machine, over virtual time.
import assert from 'node:assert/strict';
import test from 'node:test';
import { BEGIN, FAILURES_TOLD, STILL_MAX_MS, step, type Effect, type Input, type Now, type State } from '../player/states';

const NEXT_HOUR = 3_600_000;

function at(ms: number, change: Partial<Now> = {}): Now {
  return { ms, random: 0.5, hidden: false, nextStart: null, mayStart: true, ...change };
}

/** Feeds inputs one after the other, a millisecond apart. */
function feed(state: State, inputs: readonly Input[], ms = 0): { state: State; effects: Effect[] } {
  const effects: Effect[] = [];
  for (const input of inputs) {
    const next = step(state, input, at((ms += 1)));
    state = next.state;
    effects.push(...next.effects);
  }
  return { state, effects };
}

const live: Input = { kind: 'facts', life: 'live' };
const refused = (status: number): Input => ({ kind: 'refused', status, retryAfterMs: 1_000 });

/** SplitMix32: the same numbers in every run. */
function numbers(seed: number): () => number {
  return () => {
    seed = (seed + 0x9e3779b9) | 0;
    let x = seed ^ (seed >>> 16);
    x = Math.imul(x, 0x21f0aaad);
    x ^= x >>> 15;
    x = Math.imul(x, 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

function anyInput(random: () => number): Input {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)] as T;
  const status = pick([0, 200, 404, 500, 502, 503]);
  return pick<Input>([
    { kind: 'begin' }, { kind: 'tick' }, { kind: 'wake' }, { kind: 'facts', life: pick(['idle', 'live', 'ended']) },
    { kind: 'noFacts', status }, { kind: 'moving' }, { kind: 'still' }, { kind: 'paused' }, { kind: 'resumed' },
    { kind: 'refused', status, retryAfterMs: random() * 5_000 }, { kind: 'undecodable' }, { kind: 'unsupported' }, { kind: 'over' },
  ]);
}

/** A world in which the stream is live and reachable, and a viewer who presses play where that is needed. */
function settle(state: State, ms: number, random: () => number): { state: State; ms: number } {
  const end = ms + STILL_MAX_MS + 60_000;
  for (; ms < end && !(state.kind === 'playing' && state.stillSince === null); ms += 250) {
    const inputs: Input[] = [{ kind: 'tick' }];
    if (state.kind === 'paused') inputs.push({ kind: 'resumed' });
    for (let input = inputs.shift(); input !== undefined; input = inputs.shift()) {
      const next = step(state, input, at(ms, { random: random() }));
      state = next.state;
      if (next.effects.includes('ask')) inputs.push(live);
      if (next.effects.includes('open') || input.kind === 'resumed') inputs.push({ kind: 'moving' });
    }
  }
  return { state, ms };
}

test('from any state, live and reachable leads to playing', () => {
  const reached = new Set<State['kind']>();
  for (let seed = 0; seed < 20_000; seed += 1) {
    const random = numbers(seed);
    let [state, ms] = [BEGIN, 1_000];
    for (let n = Math.floor(random() * 12); n > 0; n -= 1) {
      state = step(state, anyInput(random), at((ms += random() * 4_000), { random: random(), mayStart: random() < 0.9 })).state;
    }
    reached.add(state.kind);
    const end = settle(state, ms, random);
    assert.equal(end.state.kind, 'playing', `seed ${seed}: ${JSON.stringify(state)} came to ${JSON.stringify(end.state)}`);
  }
  assert.equal(reached.size, 10, `the walk has seen ${[...reached].join(', ')}`);
});

test('who comes early asks every five seconds, and opens the stream when it is live', () => {
  let { state, effects } = feed(BEGIN, [{ kind: 'begin' }]);
  assert.deepEqual(effects, ['close', 'ask']);
  assert.deepEqual(step(state, { kind: 'tick' }, at(4_000)).effects, []);
  ({ state, effects } = feed(state, [{ kind: 'facts', life: 'idle' }, { kind: 'tick' }], 5_000));
  assert.deepEqual(effects, ['ask']);
  ({ state, effects } = feed(state, [live], 6_000));
  assert.deepEqual(effects, ['open']);
  assert.equal(feed(state, [{ kind: 'moving' }]).state.kind, 'playing');
});

test('a tab that is not looked at asks less often, until a minute before the session', () => {
  const waiting: State = { kind: 'waiting', askAt: 0, failures: 0 };
  const after = (change: Partial<Now>): number => {
    const { state } = step(waiting, { kind: 'tick' }, at(0, change));
    return 'askAt' in state ? state.askAt : Number.NaN;
  };
  assert.equal(after({}), 5_000);
  assert.equal(after({ hidden: true }), 30_000);
  assert.equal(after({ hidden: true, nextStart: NEXT_HOUR }), 30_000);
  assert.equal(after({ hidden: true, nextStart: 59_000 }), 5_000);
  assert.deepEqual([after({ random: 0 }), after({ random: 1 })], [4_000, 6_000]);
});

test('a full edge is asked again after one to three times what it said', () => {
  const opened = feed(BEGIN, [{ kind: 'begin' }, live]).state;
  for (const [random, wait] of [[0, 1_000], [0.5, 2_000], [1, 3_000]] as const) {
    const full = step(opened, refused(503), at(10_000, { random }));
    assert.deepEqual(full, { state: { kind: 'full', openAt: 10_000 + wait }, effects: ['close'] });
    assert.deepEqual(step(full.state, { kind: 'tick' }, at(10_000 + wait - 1)).effects, []);
    assert.deepEqual(step(full.state, { kind: 'tick' }, at(10_000 + wait)).effects, ['open']);
  }
});

test('one question without an answer is no news, two are a lost connection, and pauses double', () => {
  let state: State = { kind: 'waiting', askAt: 0, failures: 0 };
  const pauses: number[] = [];
  for (let n = 1; n <= 8; n += 1) {
    state = step(state, { kind: 'noFacts', status: 0 }, at(0)).state;
    assert.equal(state.kind, n < FAILURES_TOLD ? 'waiting' : 'lost');
    if (state.kind === 'lost') pauses.push(state.askAt);
  }
  assert.deepEqual(pauses, [6_000, 12_000, 22_500, 22_500, 22_500, 22_500, 22_500]);
  assert.deepEqual(step(state, { kind: 'wake' }, at(1)).effects, ['ask']);
});

test('a standstill shows after a second and opens the stream again only when the session would have ended', () => {
  let state: State = { kind: 'playing', stillSince: null };
  state = feed(state, [{ kind: 'still' }], 999).state;
  assert.equal(step(state, { kind: 'tick' }, at(1_900)).state.kind, 'playing');
  state = step(state, { kind: 'tick' }, at(2_000)).state;
  assert.deepEqual(state, { kind: 'holding', since: 1_000 });
  assert.deepEqual(step(state, { kind: 'tick' }, at(1_000 + STILL_MAX_MS - 1)).effects, []);
  assert.deepEqual(step(state, { kind: 'tick' }, at(1_000 + STILL_MAX_MS)).effects, ['open']);
  assert.equal(step(state, { kind: 'moving' }, at(3_000)).state.kind, 'playing');
});

test('nothing starts by itself for a viewer who paused', () => {
  const paused = feed({ kind: 'playing', stillSince: null }, [{ kind: 'paused' }]).state;
  const broken = feed(paused, [refused(0), { kind: 'tick' }, live, { kind: 'wake' }]);
  assert.deepEqual(broken, { state: { kind: 'paused', stale: true }, effects: ['close'] });
  assert.deepEqual(feed(broken.state, [{ kind: 'resumed' }]).effects, ['open']);
});

test('who saves data presses play', () => {
  const { state, effects } = step(BEGIN, live, at(0, { mayStart: false }));
  assert.deepEqual([state, effects], [{ kind: 'paused', stale: true }, []]);
});

test('the next session follows the one that is over', () => {
  const over = feed({ kind: 'playing', stillSince: null }, [{ kind: 'over' }]);
  assert.deepEqual([over.state.kind, over.effects], ['ended', ['close']]);
  assert.deepEqual(feed(over.state, [{ kind: 'facts', life: 'ended' }, live]).effects, ['open']);
});

test('a stream that cannot be decoded three times in a row is said to be so, and tried again after a minute', () => {
  let state: State = feed(BEGIN, [{ kind: 'begin' }, live]).state;
  const seen: string[] = [];
  for (let n = 0; n < 3; n += 1) {
    state = feed(state, [{ kind: 'undecodable' }]).state;
    seen.push(state.kind);
    if (state.kind === 'lost') state = feed(state, [live]).state;
  }
  assert.deepEqual(seen, ['lost', 'lost', 'unsupported']);
  assert.deepEqual(step(state, { kind: 'tick' }, at(61_000)).effects, ['open']);
});
