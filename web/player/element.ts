// `<lectern-player stream="hall-a" base="https://EDGE">`: one stream. It waits for it, plays it, says what is wrong, and
// waits for the next session; nothing of it needs a touch or a reload. Attribute `muted`: without sound at first;
// `beside`: one of several at once. Event `state`: `detail` is the name of the new state. All decisions are made in
// states.ts; here is what carries them out.
import { button, element, icon, say } from '../shared/dom';
import { onLanguage, t } from '../shared/i18n';
import { nextSession, readState, type Programme } from '../shared/programme';
import { ANSWER_MS, sourceOf, type Source } from '../shared/source';
import { Controls, keyTable } from './controls';
import { open, type Engine, type Trouble } from './engine';
import { message } from './messages';
import { BEGIN, step, type Effect, type Input, type Now, type State } from './states';
import { canCast, canPictureInPicture, cast, isFullScreen, savesData, toggleFullScreen, togglePictureInPicture } from './platform';

/** Period in which the machine sees the time pass. */
const TICK_MS = 250;
/** Without a touch of the pointer for this long the bar goes. */
const BAR_MS = 3_000;
/** Up to here the picture counts as live. */
const LIVE_S_MAX = 20;

const sheet = new CSSStyleSheet();
sheet.replaceSync(PLAYER_CSS);

export class LecternPlayer extends HTMLElement {
  static readonly observedAttributes = ['stream', 'base', 'muted'];

  readonly #video = element('video', { playsinline: true, preload: 'none', tabindex: -1 });
  readonly #lines = element('div', { class: 'lines', role: 'status' });
  readonly #clock = element('div', { class: 'clock' });
  readonly #message: HTMLElement;
  readonly #start = button({ class: 'start', hidden: true }, () => this.toggle(), icon('play'));
  readonly #sound = button({ class: 'sound', hidden: true }, () => this.toggleSound());
  readonly #keys = element('dialog', { class: 'keys' });
  readonly #controls: Controls;
  #source: Source = sourceOf('');
  #state: State = BEGIN;
  #engine: Engine | null = null;
  #unfollow: (() => void)[] = [];
  #timer = 0;
  #barTimer = 0;
  #trouble = '';
  /** The viewer pressed play here: from now on it may start. */
  #wanted = false;
  /** The browser, not the viewer, wants it silent. */
  #silenced = false;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open', delegatesFocus: false });
    shadow.adoptedStyleSheets = [sheet];
    this.#message = element('div', { class: 'message' }, element('div', { class: 'spinner', 'aria-hidden': 'true' }), this.#clock, this.#lines);
    this.#controls = new Controls({
      toggle: () => this.toggle(),
      toLive: () => this.toLive(),
      toggleSound: () => this.toggleSound(),
      setVolume: (volume) => this.#setVolume(volume),
      toggleFullScreen: () => toggleFullScreen(this, this.#video),
      togglePictureInPicture: () => togglePictureInPicture(this.#video),
      cast: () => cast(this.#video),
      showKeys: () => this.#showKeys(),
    });
    shadow.append(this.#video, this.#message, this.#start, this.#sound, this.#controls.bar, this.#keys);
    this.#listen();
  }

  connectedCallback(): void {
    if (!this.hasAttribute('tabindex')) this.tabIndex = 0;
    if (!this.hasAttribute('role')) this.setAttribute('role', 'region');
    this.#video.muted = this.hasAttribute('muted');
    this.#source = sourceOf(this.getAttribute('base') ?? '');
    const wake = (): void => this.#tell({ kind: 'wake' });
    const seen = (): void => { if (!document.hidden) wake(); };
    window.addEventListener('online', wake);
    document.addEventListener('visibilitychange', seen);
    this.#unfollow = [
      this.#source.follow((programme) => this.#name(programme)),
      onLanguage(() => this.#show()),
      () => window.removeEventListener('online', wake),
      () => document.removeEventListener('visibilitychange', seen),
    ];
    this.#timer = window.setInterval(() => this.#tell({ kind: 'tick' }), TICK_MS);
    this.#tell({ kind: 'begin' });
  }

  disconnectedCallback(): void {
    for (const end of this.#unfollow) end();
    clearInterval(this.#timer);
    clearTimeout(this.#barTimer);
    this.#close();
    this.#state = BEGIN;
  }

  attributeChangedCallback(name: string, before: string | null, after: string | null): void {
    if (before === after || !this.isConnected) return;
    if (name === 'muted') this.#video.muted = after !== null;
    else {
      this.#source = sourceOf(this.getAttribute('base') ?? '');
      this.#tell({ kind: 'begin' });
    }
  }

  get stream(): string {
    return this.getAttribute('stream') ?? '';
  }

  /** The name of the state it is in. */
  get state(): State['kind'] {
    return this.#state.kind;
  }

  get video(): HTMLVideoElement {
    return this.#video;
  }

  /** Seconds behind the encoder, as far as clocks can be trusted. */
  get behindS(): number | null {
    const picture = this.#engine?.pictureAt() ?? null;
    return picture === null ? null : Math.max(0, (this.#source.now() - picture) / 1_000);
  }

  toggle(): void {
    if (this.#state.kind === 'paused') {
      this.#wanted = true;
      const { stale } = this.#state;
      this.#tell({ kind: 'resumed' });
      if (!stale) this.#play();
    } else if (this.#engine !== null) {
      this.#video.pause();
    }
  }

  toggleSound(): void {
    this.#silenced = false;
    this.#video.muted = !this.#video.muted;
    if (!this.#video.muted && this.#video.volume === 0) this.#video.volume = 1;
  }

  toLive(): void {
    const live = this.#engine?.liveAt() ?? null;
    if (live !== null) this.#video.currentTime = live;
    if (this.#state.kind === 'paused') this.toggle();
  }

  #listen(): void {
    const on = (name: keyof HTMLMediaElementEventMap, then: () => void): void => this.#video.addEventListener(name, then);
    on('playing', () => this.#tell({ kind: 'moving' }));
    on('timeupdate', () => { if (!this.#video.paused && this.#video.readyState > 2) this.#tell({ kind: 'moving' }); });
    on('waiting', () => this.#tell({ kind: 'still' }));
    on('ended', () => this.#tell({ kind: 'over' }));
    // A video that ends, or is let go of, says that it is paused, too.
    on('pause', () => { if (this.#engine !== null && !this.#video.ended) this.#tell({ kind: 'paused' }); });
    on('volumechange', () => { this.#show(); this.dispatchEvent(new CustomEvent('sound', { bubbles: true })); });
    this.addEventListener('keydown', (event) => this.#key(event));
    this.addEventListener('fullscreenchange', () => this.#show());
    for (const name of ['pointermove', 'pointerdown', 'focusin'] as const) this.addEventListener(name, () => this.#wakeBar());
    this.addEventListener('pointerleave', () => this.classList.remove('awake'));
    this.#video.addEventListener('click', () => { if (matchMedia('(hover: hover)').matches) this.toggle(); });
  }

  #tell(input: Input): void {
    const before = this.#state;
    const { state, effects } = step(before, input, this.#now());
    this.#state = state;
    if (state.kind === 'playing') this.#trouble = '';
    for (const effect of effects) this.#carryOut(effect);
    this.#show();
    if (state.kind === before.kind) return;
    this.dispatchEvent(new CustomEvent('state', { detail: state.kind, bubbles: true }));
    if (state.kind === 'ended' || state.kind === 'playing') this.#source.refresh();
  }

  #now(): Now {
    const programme = this.#source.programme;
    // Not the time of day: that jumps when the edge's clock is learnt.
    const ms = performance.now();
    const now = this.#source.now();
    const next = programme === null ? null : nextSession(programme, this.stream, now);
    const nextStart = next === null ? null : ms + next.start - now;
    return { ms, random: Math.random(), hidden: document.hidden, nextStart, mayStart: this.#wanted || !savesData() };
  }

  #carryOut(effect: Effect): void {
    if (effect === 'ask') void this.#ask();
    if (effect === 'close') this.#close();
    if (effect === 'open') this.#open();
  }

  async #ask(): Promise<void> {
    const stream = this.stream;
    let input: Input;
    try {
      const answer = await fetch(`${this.#url()}/state.json`, { signal: AbortSignal.timeout(ANSWER_MS), credentials: 'omit' });
      input = answer.ok ? { kind: 'facts', life: readState(await answer.json()) } : { kind: 'noFacts', status: answer.status };
      if (!answer.ok) this.#trouble = `state ${answer.status}`;
    } catch {
      input = { kind: 'noFacts', status: 0 };
      this.#trouble = `state, ${t('noPicture')}`;
    }
    if (this.isConnected && stream === this.stream) this.#tell(input);
  }

  #url(): string {
    return `${this.#source.base}/live/${encodeURIComponent(this.stream)}`;
  }

  #open(): void {
    this.#close();
    this.#engine = open({
      video: this.#video,
      url: `${this.#url()}/index.m3u8`,
      beside: this.hasAttribute('beside'),
      trouble: (trouble, what) => this.#failed(trouble, what),
      ready: () => this.#play(),
    });
    if (this.#engine === null) this.#tell({ kind: 'unsupported' });
  }

  #failed(trouble: Trouble, what: string): void {
    this.#trouble = what;
    this.#tell(trouble);
  }

  #close(): void {
    const engine = this.#engine;
    this.#engine = null;
    engine?.close();
  }

  /** Plays, with sound if the browser lets it, else without; if it lets neither, the viewer has to press. */
  #play(): void {
    this.#video.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      if (this.#video.muted) return this.#tell({ kind: 'paused' });
      this.#silenced = true;
      this.#video.muted = true;
      this.#video.play().catch(() => this.#tell({ kind: 'paused' }));
    });
  }

  #setVolume(volume: number): void {
    this.#silenced = false;
    this.#video.volume = volume;
    this.#video.muted = volume === 0;
  }

  #name(programme: Programme): void {
    const title = programme.streams.find((stream) => stream.name === this.stream)?.title ?? this.stream;
    this.dataset['title'] = title;
    this.#show();
  }

  #show(): void {
    const { kind } = this.#state;
    this.dataset['state'] = kind;
    this.setAttribute('aria-label', t('player', this.dataset['title'] ?? this.stream));
    const active = kind === 'playing' || kind === 'holding' || kind === 'paused' || kind === 'starting';
    this.#showMessage();
    this.#start.hidden = kind !== 'paused';
    this.#start.setAttribute('aria-label', t('play'));
    this.#sound.hidden = !(this.#silenced && this.#video.muted && kind === 'playing');
    if (this.#sound.textContent !== t('unmute')) this.#sound.replaceChildren(icon('muted'), t('unmute'));
    const behindS = kind === 'playing' ? this.behindS : null;
    this.#controls.show({
      active,
      paused: kind === 'paused',
      muted: this.#video.muted,
      volume: this.#video.volume,
      fullScreen: isFullScreen(this),
      atLive: kind === 'playing' && (behindS === null || behindS < LIVE_S_MAX),
      behindS: behindS === null ? null : Math.round(behindS),
      canPictureInPicture: canPictureInPicture(this.#video),
      canCast: canCast(this.#video),
    });
  }

  #showMessage(): void {
    const programme = this.#source.programme;
    const now = this.#source.now();
    const next = programme === null ? null : nextSession(programme, this.stream, now);
    const { countdown, lines, busy } = message(this.#state, performance.now(), { next, now, trouble: this.#trouble });
    this.#message.hidden = countdown === '' && lines.length === 0 && !busy;
    this.#message.classList.toggle('busy', busy);
    say(this.#clock, countdown);
    this.#clock.hidden = countdown === '';
    while (this.#lines.childElementCount > lines.length) this.#lines.lastElementChild?.remove();
    while (this.#lines.childElementCount < lines.length) this.#lines.append(element('p', { dir: 'auto' }));
    lines.forEach((line, index) => say(this.#lines.children[index] as Element, line));
  }

  #wakeBar(): void {
    this.classList.add('awake');
    clearTimeout(this.#barTimer);
    this.#barTimer = window.setTimeout(() => this.classList.remove('awake'), BAR_MS);
  }

  #showKeys(): void {
    const rows = keyTable().map(([key, does]) => element('div', {}, element('dt', {}, element('kbd', {}, key)), element('dd', {}, does)));
    const close = button({ class: 'close' }, () => this.#keys.close(), t('close'));
    this.#keys.replaceChildren(element('h2', { id: 'keys' }, t('keys')), element('dl', {}, ...rows), close);
    this.#keys.setAttribute('aria-labelledby', 'keys');
    this.#keys.showModal();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#keys.open) return;
    const focused = this.shadowRoot?.activeElement ?? null;
    const pressed = event.key.toLowerCase();
    // A focused button has the space bar for itself.
    if (pressed === ' ' && focused instanceof HTMLButtonElement) return;
    const acts: { readonly [key: string]: (() => void) | undefined } = {
      ' ': () => this.toggle(),
      k: () => this.toggle(),
      m: () => this.toggleSound(),
      f: () => toggleFullScreen(this, this.#video),
      l: () => this.toLive(),
      '?': () => this.#showKeys(),
    };
    const act = acts[pressed];
    if (act === undefined) return;
    event.preventDefault();
    act();
    this.#wakeBar();
  }
}

if (customElements.get('lectern-player') === undefined) customElements.define('lectern-player', LecternPlayer);
