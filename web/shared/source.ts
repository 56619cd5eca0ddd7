// The event's facts from one edge: `programme.json`, followed by all who need it, and the time as the edge has it. A
// countdown on a wrong clock would be worse than none.
import { readProgramme, type Programme } from './programme';

/** Period of `programme.json` in a tab that is looked at. */
const PERIOD_MS = 15_000;
/** Time that an answer may take. */
export const ANSWER_MS = 8_000;
/** `Date` has whole seconds and an answer may be a little old: smaller differences are no wrong clock. */
const CLOCK_TOLERANCE_MS = 3_000;

export type Listener = (programme: Programme) => void;

export class Source {
  readonly base: string;
  #programme: Programme | null = null;
  #body = '';
  #offsetMs = 0;
  #timer = 0;
  readonly #listeners = new Set<Listener>();

  constructor(base: string) {
    this.base = base;
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#listeners.size > 0) this.refresh();
    });
  }

  get programme(): Programme | null {
    return this.#programme;
  }

  /** Unix milliseconds, by the edge's clock if the viewer's is off. */
  now(): number {
    return Date.now() + this.#offsetMs;
  }

  /** Calls `listener` now, if anything is known, and on each change, until the answer is called. */
  follow(listener: Listener): () => void {
    this.#listeners.add(listener);
    if (this.#programme !== null) listener(this.#programme);
    if (this.#timer === 0) this.refresh();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = 0;
    };
  }

  /** Asks at once, and again after a period. */
  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.refresh(), PERIOD_MS * (0.8 + 0.4 * Math.random()));
    if (!document.hidden || this.#programme === null) void this.#ask();
  }

  /** Corrects the clock by an answer that was fetched from the edge just now. */
  setClock(answer: Response): void {
    const date = Date.parse(answer.headers.get('date') ?? '');
    if (Number.isNaN(date)) return;
    const off = date - Date.now();
    this.#offsetMs = Math.abs(off) > CLOCK_TOLERANCE_MS ? off : 0;
  }

  async #ask(): Promise<void> {
    try {
      const answer = await fetch(`${this.base}/programme.json`, { signal: AbortSignal.timeout(ANSWER_MS), credentials: 'omit' });
      if (!answer.ok) return;
      this.setClock(answer);
      const body = await answer.text();
      if (body === this.#body) return;
      this.#programme = readProgramme(JSON.parse(body));
      this.#body = body;
    } catch {
      return; // What is shown stays; the next one will do.
    }
    for (const listener of this.#listeners) listener(this.#programme);
  }
}

const sources = new Map<string, Source>();

/** The source at `base` (`''`: where the page comes from), shared by all who ask for it. */
export function sourceOf(base: string): Source {
  const known = sources.get(base);
  if (known !== undefined) return known;
  const made = new Source(base);
  sources.set(base, made);
  return made;
}
