// The player as a state machine: `step(state, input, now)` gives the next state and what is to be done. It reads no
// clock, draws no random number and touches no element: time and chance come with each input.
import type { Life } from '../shared/programme';

/** Period of questions to `state.json` while a stream is waited for. */
export const ASK_MS = 5_000;
/** The same in a tab that is not looked at, until a minute before the next session. */
export const ASK_HIDDEN_MS = 30_000;
/** So long before a session a hidden tab asks as often as a visible one. */
export const ASK_EARLIER_MS = 60_000;
/** Period for a stream that the event does not have: it may be added. */
export const ASK_UNKNOWN_MS = 30_000;
/** First and longest pause after a lost connection; each failure doubles it. */
export const BACK_OFF_MS = 2_000;
export const BACK_OFF_MAX_MS = 30_000;
/** Failed questions after which the viewer is told that the connection is lost: one alone is no news. */
export const FAILURES_TOLD = 2;
/** Standstill that shows: shorter ones happen at every seek. */
export const STILL_MS = 1_000;
/** Standstill after which the viewer is told. */
export const STILL_TOLD_MS = 4_000;
/** Standstill after which the stream is opened again. Longer than `hls.endAfter` by default (60 s), so that an encoder
 *  that is away ends the session instead of playing its last seconds again. */
export const STILL_MAX_MS = 90_000;
/** Time that a stream may take from opening to its first picture. What is refused is known long before; this is for a
 *  player that neither goes on nor says why, and a busy machine that is about to begin must not be made to begin again. */
export const START_MAX_MS = 60_000;
/** Shortest pause before a full edge is asked again. */
export const FULL_MS = 1_000;
/** Pause before a stream that this browser cannot decode is tried again: the next session may be encoded otherwise. */
export const UNSUPPORTED_MS = 60_000;
/** Decoding failures in a row after which the browser counts as unable. */
export const DECODE_FAILURES_MAX = 3;

export type State =
  | { readonly kind: 'waiting'; readonly askAt: number; readonly failures: number }
  | { readonly kind: 'ended'; readonly askAt: number; readonly failures: number }
  | { readonly kind: 'unknown'; readonly askAt: number; readonly failures: number }
  | { readonly kind: 'lost'; readonly askAt: number; readonly failures: number }
  | { readonly kind: 'starting'; readonly since: number; readonly failures: number }
  | { readonly kind: 'playing'; readonly stillSince: number | null }
  | { readonly kind: 'holding'; readonly since: number }
  /** By the viewer, or because the browser starts nothing by itself. `stale`: it has to be opened again. */
  | { readonly kind: 'paused'; readonly stale: boolean }
  | { readonly kind: 'full'; readonly openAt: number }
  | { readonly kind: 'unsupported'; readonly openAt: number };

export type Input =
  | { readonly kind: 'begin' }
  | { readonly kind: 'tick' }
  /** The network is back, or the tab is looked at again. */
  | { readonly kind: 'wake' }
  | { readonly kind: 'facts'; readonly life: Life }
  /** `state.json` was not to be had; status 0: no answer at all. */
  | { readonly kind: 'noFacts'; readonly status: number }
  | { readonly kind: 'moving' }
  | { readonly kind: 'still' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'resumed' }
  /** The playlist or its segments were refused; status 0: no answer at all. */
  | { readonly kind: 'refused'; readonly status: number; readonly retryAfterMs: number }
  /** The browser could not decode, and could not be helped. */
  | { readonly kind: 'undecodable' }
  | { readonly kind: 'unsupported' }
  | { readonly kind: 'over' };

/** What is to be done: ask for `state.json`; open the stream; let go of it. */
export type Effect = 'ask' | 'open' | 'close';

export interface Now {
  /** Milliseconds; only differences count, but for `nextStart`, which is on the same clock. */
  readonly ms: number;
  /** From 0 to 1. */
  readonly random: number;
  readonly hidden: boolean;
  /** When the next session of this stream begins. */
  readonly nextStart: number | null;
  /** Whether a stream may start without the viewer's touch. */
  readonly mayStart: boolean;
}

export interface Step {
  readonly state: State;
  readonly effects: readonly Effect[];
}

export const BEGIN: State = { kind: 'waiting', askAt: 0, failures: 0 };

export function step(state: State, input: Input, now: Now): Step {
  switch (input.kind) {
    case 'begin':
      return { state: { kind: 'waiting', askAt: now.ms + ASK_MS, failures: 0 }, effects: ['close', 'ask'] };
    case 'tick':
      return tick(state, now);
    case 'wake':
      return asks(state) ? ask(state, now) : stay(state);
    case 'facts':
      return asks(state) ? learn(state, input.life, now) : stay(state);
    case 'noFacts':
      return asks(state) ? missed(state, input.status, now) : stay(state);
    case 'over':
      return hasMedia(state) ? { state: { kind: 'ended', askAt: now.ms + ASK_MS, failures: 0 }, effects: ['close'] } : stay(state);
    case 'unsupported':
      return { state: { kind: 'unsupported', openAt: now.ms + UNSUPPORTED_MS }, effects: ['close'] };
    case 'refused':
      return hasMedia(state) ? refused(state, input.status, input.retryAfterMs, now) : stay(state);
    case 'undecodable':
      return hasMedia(state) ? undecodable(state, now) : stay(state);
    case 'moving':
    case 'still':
    case 'paused':
    case 'resumed':
      return played(state, input.kind, now);
  }
}

type Asking = Extract<State, { failures: number; askAt: number }>;
type Media = Extract<State, { kind: 'starting' | 'playing' | 'holding' | 'paused' }>;

function asks(state: State): state is Asking {
  return state.kind === 'waiting' || state.kind === 'ended' || state.kind === 'unknown' || state.kind === 'lost';
}

function hasMedia(state: State): state is Media {
  return state.kind === 'starting' || state.kind === 'playing' || state.kind === 'holding' || state.kind === 'paused';
}

function stay(state: State): Step {
  return { state, effects: [] };
}

function tick(state: State, now: Now): Step {
  switch (state.kind) {
    case 'waiting':
    case 'ended':
    case 'unknown':
    case 'lost':
      return now.ms >= state.askAt ? ask(state, now) : stay(state);
    case 'starting':
      return now.ms - state.since >= START_MAX_MS ? lose(state.failures, now) : stay(state);
    case 'playing':
      return state.stillSince !== null && now.ms - state.stillSince >= STILL_MS
        ? { state: { kind: 'holding', since: state.stillSince }, effects: [] }
        : stay(state);
    case 'holding':
      return now.ms - state.since >= STILL_MAX_MS ? open(0, now) : stay(state);
    case 'full':
    case 'unsupported':
      return now.ms >= state.openAt ? open(0, now) : stay(state);
    case 'paused':
      return stay(state);
  }
}

function ask(state: Asking, now: Now): Step {
  return { state: { ...state, askAt: now.ms + pause(state, now) }, effects: ['ask'] };
}

/** How long after a question the next one comes. Spread, so that those who wait together do not ask together. */
function pause(state: Asking, now: Now): number {
  if (state.kind === 'lost') return backOff(state.failures, now);
  if (state.kind === 'unknown') return spread(ASK_UNKNOWN_MS, now);
  const soon = now.nextStart !== null && now.nextStart - now.ms < ASK_EARLIER_MS;
  return spread(now.hidden && !soon ? ASK_HIDDEN_MS : ASK_MS, now);
}

/** ± 20 %. */
function spread(ms: number, now: Now): number {
  return Math.round(ms * (0.8 + 0.4 * now.random));
}

function backOff(failures: number, now: Now): number {
  return Math.min(BACK_OFF_MAX_MS, BACK_OFF_MS * 2 ** Math.min(failures, 10)) * (0.5 + now.random / 2);
}

function learn(state: Asking, life: Life, now: Now): Step {
  if (life === 'live') return now.mayStart ? open(state.kind === 'lost' ? state.failures : 0, now) : { state: { kind: 'paused', stale: true }, effects: [] };
  return { state: { kind: life === 'ended' ? 'ended' : 'waiting', askAt: state.askAt, failures: 0 }, effects: [] };
}

function missed(state: Asking, status: number, now: Now): Step {
  if (status === 404) return { state: { kind: 'unknown', askAt: now.ms + spread(ASK_UNKNOWN_MS, now), failures: 0 }, effects: [] };
  const failures = state.failures + 1;
  if (failures < FAILURES_TOLD) return { state: { ...state, failures }, effects: [] };
  return { state: { kind: 'lost', askAt: now.ms + backOff(failures, now), failures }, effects: [] };
}

function open(failures: number, now: Now): Step {
  return { state: { kind: 'starting', since: now.ms, failures }, effects: ['open'] };
}

function lose(failures: number, now: Now): Step {
  return { state: { kind: 'lost', askAt: now.ms + backOff(failures, now), failures: failures + 1 }, effects: ['close'] };
}

function refused(state: Media, status: number, retryAfterMs: number, now: Now): Step {
  // Nothing starts by itself for a viewer who paused.
  if (state.kind === 'paused') return { state: { kind: 'paused', stale: true }, effects: ['close'] };
  if (status === 503) {
    const openAt = now.ms + Math.max(FULL_MS, retryAfterMs) * (1 + 2 * now.random);
    return { state: { kind: 'full', openAt }, effects: ['close'] };
  }
  if (status === 404) {
    // The stream went between question and answer, or this edge knows less than the one that was asked.
    return { state: { kind: 'waiting', askAt: now.ms + FULL_MS * (1 + 2 * now.random), failures: 0 }, effects: ['close'] };
  }
  return lose(state.kind === 'starting' ? state.failures : 0, now);
}

function undecodable(state: Media, now: Now): Step {
  const failures = state.kind === 'starting' ? state.failures : 0;
  if (failures + 1 < DECODE_FAILURES_MAX) return lose(failures, now);
  return { state: { kind: 'unsupported', openAt: now.ms + UNSUPPORTED_MS }, effects: ['close'] };
}

function played(state: State, what: 'moving' | 'still' | 'paused' | 'resumed', now: Now): Step {
  if (!hasMedia(state)) return stay(state);
  switch (what) {
    case 'moving':
      if (state.kind === 'paused' && state.stale) return stay(state);
      return { state: { kind: 'playing', stillSince: null }, effects: [] };
    case 'still':
      return state.kind === 'playing' && state.stillSince === null ? { state: { kind: 'playing', stillSince: now.ms }, effects: [] } : stay(state);
    case 'paused':
      return state.kind === 'paused' ? stay(state) : { state: { kind: 'paused', stale: false }, effects: [] };
    case 'resumed':
      if (state.kind !== 'paused') return stay(state);
      return state.stale ? open(0, now) : { state: { kind: 'starting', since: now.ms, failures: 0 }, effects: [] };
  }
}
