// What the event is, as `programme.json` and `state.json` say it. Readers take what they know and ignore the rest, since
// page and edge may be of different releases.

/** A stream has not begun, is listed, or is over. */
export type Life = 'idle' | 'live' | 'ended';

export interface StreamFacts {
  readonly name: string;
  readonly title: string;
  readonly state: Life;
  /** Unix milliseconds at which what is live began. */
  readonly since: number | null;
}

export interface Session {
  readonly title: string;
  /** Unix milliseconds. */
  readonly start: number;
  readonly end: number;
  /** The streams that belong to it; none: all. */
  readonly streams: readonly string[];
}

export interface Programme {
  readonly title: string;
  readonly logo: string | null;
  readonly accentColor: string | null;
  readonly streams: readonly StreamFacts[];
  readonly sessions: readonly Session[];
}

type Fields = { readonly [name: string]: unknown };

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function instant(value: unknown): number | null {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

export function readLife(value: unknown): Life {
  return value === 'live' || value === 'ended' ? value : 'idle';
}

export function readState(json: unknown): Life {
  return readLife(fields(json)['state']);
}

export function readProgramme(json: unknown): Programme {
  const all = fields(json);
  const event = fields(all['event']);
  const page = fields(all['page']);
  return {
    title: text(event['title']),
    logo: readLogo(page['logo']),
    accentColor: /^#[0-9a-fA-F]{6}$/.test(text(page['accentColor'])) ? text(page['accentColor']) : null,
    streams: list(all['streams']).map(readStream).filter((stream) => stream.name !== ''),
    sessions: list(all['sessions']).map(readSession).filter((session) => session !== null).sort((a, b) => a.start - b.start),
  };
}

/** Only addresses that can be nothing but a picture. */
function readLogo(value: unknown): string | null {
  return /^(https?:\/\/|data:image\/)/.test(text(value)) ? text(value) : null;
}

function readStream(json: unknown): StreamFacts {
  const stream = fields(json);
  const name = text(stream['name']);
  return { name, title: text(stream['title']) || name, state: readLife(stream['state']), since: instant(stream['since']) };
}

function readSession(json: unknown): Session | null {
  const session = fields(json);
  const [start, end] = [instant(session['start']), instant(session['end'])];
  if (start === null || end === null) return null;
  const streams = list(session['streams']).map(text).filter((name) => name !== '');
  return { title: text(session['title']) || text(session['name']), start, end, streams };
}

export function belongsTo(session: Session, stream: string): boolean {
  return session.streams.length === 0 || session.streams.includes(stream);
}

/** The session of `stream` that is on or comes next. */
export function nextSession(programme: Programme, stream: string, now: number): Session | null {
  return programme.sessions.find((session) => session.end > now && belongsTo(session, stream)) ?? null;
}
