// What is watched: one hall, or several at once of which one is heard.
import { button, element, icon, say } from '../shared/dom';
import { timeOfDay } from '../shared/format';
import { t } from '../shared/i18n';
import type { Programme } from '../shared/programme';
import { LecternPlayer } from '../player/element';
import { savesData } from '../player/platform';

/** Halls at once on a wide screen and on a phone. */
const HALLS_MAX = 4;
const HALLS_MAX_PHONE = 2;
const PHONE = '(max-width: 40rem)';

interface Tile {
  readonly stream: string;
  readonly root: HTMLElement;
  readonly player: LecternPlayer;
  readonly name: HTMLElement;
  readonly remove: HTMLButtonElement;
}

export class Stage {
  readonly root = element('section', { class: 'stage' });
  readonly #grid = element('div', { class: 'grid' });
  readonly #heading = element('h2', { dir: 'auto' });
  readonly #line = element('p', { class: 'line' });
  readonly #changed: () => void;
  #tiles: Tile[] = [];

  constructor(stream: string, changed: () => void) {
    this.#changed = changed;
    this.root.append(this.#grid, element('div', { class: 'about' }, this.#heading, this.#line));
    const beside = new URLSearchParams(location.search).get('with')?.split(',') ?? [];
    this.#add(stream, false);
    for (const name of beside) if (name !== '' && this.canAdd(name)) this.#add(name, true);
    document.addEventListener('keydown', (event) => this.#key(event));
  }

  get streams(): readonly string[] {
    return this.#tiles.map((tile) => tile.stream);
  }

  canAdd(stream: string): boolean {
    const most = matchMedia(PHONE).matches ? HALLS_MAX_PHONE : HALLS_MAX;
    return this.#tiles.length < most && !savesData() && !this.streams.includes(stream);
  }

  add(stream: string): void {
    if (!this.canAdd(stream)) return;
    this.#add(stream, true);
    this.#keep();
  }

  remove(stream: string): void {
    const gone = this.#tiles.find((tile) => tile.stream === stream);
    if (gone === undefined || this.#tiles[0] === gone) return;
    const heard = !gone.player.video.muted;
    gone.root.remove();
    this.#tiles = this.#tiles.filter((tile) => tile !== gone);
    if (heard) this.#hear(0);
    this.#keep();
  }

  draw(programme: Programme): void {
    const several = this.#tiles.length > 1;
    this.#grid.className = `grid of-${this.#tiles.length}`;
    for (const tile of this.#tiles) {
      const title = titleOf(programme, tile.stream);
      say(tile.name, title);
      tile.name.hidden = !several;
      const label = t('removeBeside', title);
      tile.remove.hidden = tile === this.#tiles[0];
      if (tile.remove.title !== label) {
        tile.remove.title = label;
        tile.remove.setAttribute('aria-label', label);
      }
    }
    const own = programme.streams.find((one) => one.name === this.#tiles[0]?.stream);
    say(this.#heading, this.#tiles.map((tile) => titleOf(programme, tile.stream)).join(' + '));
    this.#line.hidden = own === undefined;
    const live = own?.state === 'live';
    this.#line.classList.toggle('is-live', live);
    say(this.#line, live ? (own.since === null ? t('live') : t('liveSince', timeOfDay(own.since))) : own?.state === 'ended' ? t('over') : t('notStarted'));
  }

  /** The tab's title: a tab in the background shows that it began. */
  title(programme: Programme): string {
    const first = this.#tiles[0];
    const playing = first?.player.state === 'playing' ? '▶ ' : '';
    return `${playing}${titleOf(programme, first?.stream ?? '')} · ${programme.title}`;
  }

  #add(stream: string, beside: boolean): void {
    const player = new LecternPlayer();
    player.setAttribute('stream', stream);
    if (beside) {
      player.setAttribute('muted', '');
      player.setAttribute('beside', '');
    }
    const name = element('span', { class: 'name', dir: 'auto', hidden: true });
    const remove = button({ class: 'remove', hidden: true }, () => this.remove(stream), icon('minus'));
    const root = element('div', { class: 'tile' }, player, name, remove);
    player.addEventListener('state', () => this.#changed());
    player.addEventListener('sound', () => {
      if (!player.video.muted) for (const other of this.#tiles) if (other.player !== player) other.player.video.muted = true;
    });
    this.#tiles.push({ stream, root, player, name, remove });
    this.#grid.append(root);
  }

  /** Moves the sound to one hall. */
  #hear(index: number): void {
    const chosen = this.#tiles[index];
    if (chosen !== undefined && chosen.player.video.muted) chosen.player.toggleSound();
  }

  /** The address names what is watched, so that it can be sent to others. */
  #keep(): void {
    const url = new URL(location.href);
    const beside = this.streams.slice(1).join(',');
    if (beside === '') url.searchParams.delete('with');
    else url.searchParams.set('with', beside);
    history.replaceState(null, '', url.href.replaceAll('%2C', ','));
    this.#changed();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#tiles.length < 2) return;
    const number = Number(event.key);
    if (Number.isInteger(number) && number >= 1) this.#hear(number - 1);
  }
}

export function titleOf(programme: Programme, stream: string): string {
  return programme.streams.find((one) => one.name === stream)?.title ?? stream;
}
