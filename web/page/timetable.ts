// The timetable: sessions by day, in the viewer's own zone. The first days are open, later ones are folded.
import { element } from '../shared/dom';
import { day, left, sameDay, timeOfDay, zone } from '../shared/format';
import { t } from '../shared/i18n';
import type { Programme, Session } from '../shared/programme';
import { titleOf } from './stage';

/** Days that are shown without a touch. */
const DAYS_OPEN = 3;
/** Up to here before its start a session shows a countdown. */
const COUNTDOWN_MS = 12 * 3_600_000;

export function timetable(programme: Programme, now: number): HTMLElement {
  const days = byDay(programme.sessions.filter((session) => session.end > now || sameDay(session.end, now)));
  const root = element('section', { class: 'timetable', 'aria-labelledby': 'timetable', hidden: days.length === 0 }, element('h2', { id: 'timetable' }, t('timetable')));
  const made = days.map((sessions) => oneDay(programme, sessions, now));
  root.append(...made.slice(0, DAYS_OPEN));
  if (made.length > DAYS_OPEN) {
    root.append(element('details', { id: 'later' }, element('summary', {}, t('later')), ...made.slice(DAYS_OPEN)));
  }
  root.append(element('p', { class: 'note' }, t('zone', zone())));
  return root;
}

function byDay(sessions: readonly Session[]): Session[][] {
  const days: Session[][] = [];
  for (const session of sessions) {
    const last = days.at(-1);
    if (last?.[0] !== undefined && sameDay(last[0].start, session.start)) last.push(session);
    else days.push([session]);
  }
  return days;
}

function oneDay(programme: Programme, sessions: readonly Session[], now: number): HTMLElement {
  const rows = sessions.map((session) => row(programme, session, now));
  return element('div', { class: 'day' }, element('h3', {}, day(sessions[0]?.start ?? now)), element('ol', {}, ...rows));
}

function row(programme: Programme, session: Session, now: number): HTMLElement {
  const halls = session.streams.length === 0 ? (programme.streams.length > 1 ? t('allHalls') : '') : session.streams.map((name) => titleOf(programme, name)).join(', ');
  const on = session.start <= now && now < session.end;
  const chip = on ? t('now') : session.end <= now ? t('over') : session.start - now < COUNTDOWN_MS ? t('startsIn', left(session.start - now)) : '';
  return element(
    'li',
    { class: on ? 'is-on' : session.end <= now ? 'is-over' : '' },
    element('span', { class: 'time' }, `${timeOfDay(session.start)} – ${timeOfDay(session.end)}`),
    element('span', { class: 'what' }, element('span', { class: 'title', dir: 'auto' }, session.title), halls === '' ? null : element('span', { class: 'halls', dir: 'auto' }, halls)),
    chip === '' ? null : element('span', { class: 'chip' }, chip),
  );
}
