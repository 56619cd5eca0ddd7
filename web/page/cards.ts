// The programme: a card for each hall, with what is on there.
import { button, element, icon } from '../shared/dom';
import { left, moment, timeOfDay } from '../shared/format';
import { t } from '../shared/i18n';
import { nextSession, type Programme, type StreamFacts } from '../shared/programme';
import type { Stage } from './stage';

export function cards(programme: Programme, now: number, watched: readonly string[], stage: Stage | null): HTMLElement {
  const all = programme.streams.map((stream, index) => card(programme, stream, index, now, watched, stage));
  const list = all.length > 0 ? element('ul', { class: 'cards' }, ...all) : element('p', { class: 'note' }, t('empty'));
  return element('section', { class: 'programme', 'aria-labelledby': 'programme' }, element('h2', { id: 'programme' }, t('programme')), list);
}

function card(programme: Programme, stream: StreamFacts, index: number, now: number, watched: readonly string[], stage: Stage | null): HTMLElement {
  const { name, title } = stream;
  const picture = element('span', { class: `picture hue-${index % 6}`, 'aria-hidden': 'true' }, icon(stream.state === 'live' ? 'play' : stream.state === 'ended' ? 'check' : 'clock'));
  const href = `/live/${encodeURIComponent(name)}/`;
  const here = watched[0] === name ? 'page' : null;
  const link = element(
    'a',
    { href, 'aria-current': here, 'data-key': `watch ${name}` },
    picture,
    element('span', { class: 'title', dir: 'auto' }, title),
    element('span', { class: 'state', dir: 'auto' }, stateOf(programme, stream, now)),
  );
  return element('li', { class: `card is-${stream.state}`, 'data-key': name }, link, beside(stream, watched, stage));
}

function stateOf(programme: Programme, stream: StreamFacts, now: number): string {
  if (stream.state === 'live') return stream.since === null ? t('live') : t('liveSince', timeOfDay(stream.since));
  const next = nextSession(programme, stream.name, now);
  if (next !== null && next.start > now) {
    const days = next.start - now > 24 * 3_600_000;
    return days ? t('next', next.title, moment(next.start, now)) : t('startsIn', left(next.start - now));
  }
  if (stream.state === 'ended') return t('over');
  return next === null ? t('notStarted') : t('startsSoon');
}

/** The button that puts a hall beside what is watched, or takes it away. */
function beside(stream: StreamFacts, watched: readonly string[], stage: Stage | null): HTMLElement | null {
  if (stage === null || watched[0] === stream.name) return null;
  const { name, title } = stream;
  const on = watched.includes(name);
  if (!on && (stream.state !== 'live' || !stage.canAdd(name))) return null;
  const label = on ? t('removeBeside', title) : t('watchBeside', title);
  const press = (): void => (stage.streams.includes(name) ? stage.remove(name) : stage.add(name));
  return button({ class: 'beside', 'data-key': `beside ${name}`, 'aria-label': label }, press, icon(on ? 'minus' : 'plus'), element('span', { class: 'word' }, t(on ? 'remove' : 'beside')));
}
