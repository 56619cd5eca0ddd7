// The bar under the picture. It shows what the player is doing and passes on what the viewer wants; it decides nothing.
// Each control is one entry of `build`: more of them (a time line, a menu of qualities) are more entries.
import { button, element, icon, say, type Icon } from '../shared/dom';
import { t } from '../shared/i18n';

export interface Wishes {
  readonly toggle: () => void;
  readonly toLive: () => void;
  readonly toggleSound: () => void;
  readonly setVolume: (volume: number) => void;
  readonly toggleFullScreen: () => void;
  readonly togglePictureInPicture: () => void;
  readonly cast: () => void;
  readonly showKeys: () => void;
}

export interface Shown {
  readonly paused: boolean;
  readonly muted: boolean;
  readonly volume: number;
  readonly fullScreen: boolean;
  /** There is a stream: without one only what does not need it is offered. */
  readonly active: boolean;
  readonly atLive: boolean;
  readonly behindS: number | null;
  readonly canPictureInPicture: boolean;
  readonly canCast: boolean;
}

export class Controls {
  readonly bar: HTMLElement;
  readonly #play: HTMLButtonElement;
  readonly #live: HTMLButtonElement;
  readonly #behind = element('span', { class: 'behind' });
  readonly #sound: HTMLButtonElement;
  readonly #volume: HTMLInputElement;
  readonly #picture: HTMLButtonElement;
  readonly #cast: HTMLButtonElement;
  readonly #keys: HTMLButtonElement;
  readonly #full: HTMLButtonElement;

  constructor(wishes: Wishes) {
    this.#play = button({ class: 'needs-stream' }, wishes.toggle);
    this.#live = button({ class: 'live needs-stream' }, wishes.toLive, element('span', { class: 'lamp' }), element('span', { class: 'word' }));
    this.#sound = button({}, wishes.toggleSound);
    this.#volume = element('input', { type: 'range', min: 0, max: 1, step: 0.05, class: 'volume' });
    this.#volume.addEventListener('input', () => wishes.setVolume(this.#volume.valueAsNumber));
    this.#keys = button({ class: 'wide-only' }, wishes.showKeys);
    this.#picture = button({ class: 'wide-only needs-stream' }, wishes.togglePictureInPicture);
    this.#cast = button({ class: 'needs-stream' }, wishes.cast);
    this.#full = button({}, wishes.toggleFullScreen);
    this.bar = element(
      'div',
      { class: 'bar', role: 'group' },
      this.#play, this.#sound, this.#volume, this.#live, this.#behind,
      element('span', { class: 'space' }),
      this.#keys, this.#cast, this.#picture, this.#full,
    );
  }

  show(shown: Shown): void {
    this.bar.setAttribute('aria-label', t('controls'));
    face(this.#play, shown.paused ? 'play' : 'pause', t(shown.paused ? 'play' : 'pause'));
    face(this.#sound, shown.muted ? 'muted' : 'sound', t(shown.muted ? 'unmute' : 'mute'));
    face(this.#full, shown.fullScreen ? 'window' : 'full', t(shown.fullScreen ? 'leaveFullScreen' : 'fullScreen'));
    face(this.#picture, 'picture', t('pictureInPicture'));
    face(this.#cast, 'cast', t('cast'));
    face(this.#keys, 'keys', t('keys'));
    this.#picture.hidden = !shown.canPictureInPicture;
    this.#cast.hidden = !shown.canCast;
    this.#live.classList.toggle('on', shown.atLive);
    const word = this.#live.querySelector('.word');
    if (word !== null) say(word, t('atLive'));
    name(this.#live, shown.atLive ? t('atLive') : t('toLive'));
    say(this.#behind, shown.behindS === null ? '' : t('behind', shown.behindS));
    this.#volume.setAttribute('aria-label', t('volume'));
    this.#volume.value = String(shown.muted ? 0 : shown.volume);
    for (const one of this.bar.querySelectorAll<HTMLElement>('.needs-stream')) one.classList.toggle('absent', !shown.active);
    this.#behind.classList.toggle('absent', !shown.active);
  }
}

/** Icon and name of a button; untouched while they are right, so that nothing under the pointer is replaced. */
function face(target: HTMLButtonElement, picture: Icon, label: string): void {
  if (target.dataset['face'] !== picture) {
    target.dataset['face'] = picture;
    target.replaceChildren(icon(picture));
  }
  name(target, label);
}

function name(target: HTMLButtonElement, label: string): void {
  if (target.title === label) return;
  target.title = label;
  target.setAttribute('aria-label', label);
}

/** The keys of the player, in the order in which they are explained. */
export function keyTable(): readonly (readonly [string, string])[] {
  return [
    [`${t('space')}, K`, t('keyPlay')],
    ['M', t('keyMute')],
    ['F', t('keyFull')],
    ['L', t('keyLive')],
    ['1 – 4', t('keyHall')],
    ['?', t('keyHelp')],
  ];
}
