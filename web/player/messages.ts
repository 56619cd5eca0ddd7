// What is said over the picture in each state: a first line, what the page does about it, and details for support.
import { left, moment, timeOfDay } from '../shared/format';
import { t } from '../shared/i18n';
import type { Session } from '../shared/programme';
import { STILL_TOLD_MS, type State } from './states';

export interface Message {
  /** Changes every second: shown first, but not spoken. */
  readonly countdown: string;
  readonly lines: readonly string[];
  /** Something is under way that may take a moment. */
  readonly busy: boolean;
}

export interface Known {
  /** The session that is on or comes next. */
  readonly next: Session | null;
  /** Unix milliseconds. */
  readonly now: number;
  /** The last trouble, for support. */
  readonly trouble: string;
}

const NOTHING: Message = { countdown: '', lines: [], busy: false };

export function message(state: State, ms: number, known: Known): Message {
  switch (state.kind) {
    case 'waiting': {
      const next = following(known);
      return next === null ? say([t('startsSoon'), t('stayHere')], false) : { ...next, lines: [...next.lines, t('stayHere')] };
    }
    case 'ended': {
      const next = following(known);
      return next === null ? say([t('sessionOver')], false) : { ...next, lines: [t('sessionOver'), ...next.lines, t('stayHere')] };
    }
    case 'starting':
      return say([t('opening')], true);
    case 'playing':
    case 'paused':
      return NOTHING;
    case 'holding':
      return say(ms - state.since < STILL_TOLD_MS ? [] : [t('holding')], true);
    case 'full':
      return say([t('full'), t('fullMore')], true);
    case 'lost':
      return say([t('lost'), t('lostMore'), ...details(known)], true);
    case 'unknown':
      return say([t('unknown')], false);
    case 'unsupported':
      return say([t('unsupported'), t('unsupportedMore'), ...details(known)], false);
  }
}

function say(lines: readonly string[], busy: boolean): Message {
  return { countdown: '', lines, busy };
}

/** The session to come. One that should have begun is not it: what its time says is known not to be so. */
function following({ next, now }: Known): Message | null {
  if (next === null || next.start <= now) return null;
  return { countdown: t('startsIn', left(next.start - now)), lines: [t('next', next.title, moment(next.start, now))], busy: false };
}

function details({ trouble, now }: Known): string[] {
  return trouble === '' ? [] : [t('details', `${trouble}, ${timeOfDay(now)}`)];
}
