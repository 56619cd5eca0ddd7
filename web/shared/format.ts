// Times as people read them, in their own zone.
import { languageTag, t } from './i18n';

const SECOND = 1_000;
const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

/** What is left of a countdown: 4:05, 1:04:05, 2 d 3 h. */
export function left(ms: number): string {
  const s = Math.max(0, Math.ceil(ms / SECOND));
  if (s >= DAY_S) return t('days', Math.floor(s / DAY_S), Math.floor((s % DAY_S) / HOUR_S));
  const two = (n: number): string => String(n).padStart(2, '0');
  const [hours, minutes] = [Math.floor(s / HOUR_S), Math.floor(s / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

export function timeOfDay(at: number): string {
  return new Intl.DateTimeFormat(languageTag(), { hour: '2-digit', minute: '2-digit' }).format(at);
}

/** The time, with the day unless it is today. */
export function moment(at: number, now: number): string {
  if (sameDay(at, now)) return timeOfDay(at);
  const form = { weekday: 'short', month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' } as const;
  return new Intl.DateTimeFormat(languageTag(), form).format(at);
}

export function day(at: number): string {
  return new Intl.DateTimeFormat(languageTag(), { weekday: 'long', month: 'long', day: 'numeric' }).format(at);
}

export function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

export function zone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}
