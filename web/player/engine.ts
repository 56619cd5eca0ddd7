// What plays: hls.js wherever media can be appended by script, the browser's own HLS on Safari and old iOS. Other
// browsers say "maybe" to HLS and then fail on some streams, so they are not believed.
import Hls, { type ErrorData, type LoadPolicy } from 'hls.js/light';
import type { Input } from './states';

export type Trouble = Extract<Input, { kind: 'refused' | 'undecodable' | 'unsupported' }>;

export interface Engine {
  /** Programme time of the picture, Unix milliseconds. */
  pictureAt(): number | null;
  /** Position of the live edge, in seconds of the video element's time. */
  liveAt(): number | null;
  /** Lets go of the stream and of the video element. */
  close(): void;
}

export interface Opening {
  readonly video: HTMLVideoElement;
  /** The multivariant playlist. */
  readonly url: string;
  /** Beside another one: keeps little behind the picture. */
  readonly beside: boolean;
  /** It could not be opened or does not go on. `what` is for support. */
  readonly trouble: (trouble: Trouble, what: string) => void;
  /** There is something to play. */
  readonly ready: () => void;
}

/** Seconds kept behind the picture. */
const BACK_S = 30;
/** Segments behind the newest, as RFC 8216, 6.3.3 has it. */
const BEHIND_SEGMENTS = 3;
/** Who fell behind catches up at this rate: ten per cent are not heard. */
const CATCH_UP_RATE = 1.1;
/** Times that a decoder is helped up before it counts as unable, and after how long without trouble it starts anew. */
const RECOVERIES_MAX = 2;
const RECOVERED_MS = 30_000;

/** Name of the error of hls.js for a segment with a track that the first one did not have. */
const OTHER_TRACKS = 'HlsJsTrackRemovedError';

const HLS_TYPE = 'application/vnd.apple.mpegurl';

export function open(opening: Opening): Engine | null {
  if (isNativeGood(opening.video)) return new NativeEngine(opening);
  if (Hls.isSupported()) return new HlsEngine(opening);
  if (opening.video.canPlayType(HLS_TYPE) !== '') return new NativeEngine(opening);
  return null;
}

/** Where ManagedMediaSource is, HLS is Safari's own: with AirPlay, lock screen and long battery life. */
function isNativeGood(video: HTMLVideoElement): boolean {
  return 'ManagedMediaSource' in window && video.canPlayType(HLS_TYPE) !== '';
}

/** Many quick attempts: another edge answers for one that is gone. */
function persistent(attempts: number): LoadPolicy {
  const retry = { maxNumRetry: attempts, retryDelayMs: 250, maxRetryDelayMs: 3_000 };
  return { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry: retry, errorRetry: retry } };
}

class HlsEngine implements Engine {
  #hls: Hls;
  readonly #opening: Opening;
  #recoveries = 0;
  #recoveredAt = 0;

  constructor(opening: Opening) {
    this.#opening = opening;
    this.#hls = this.#begun(BEHIND_SEGMENTS);
  }

  /** `behind`: segments behind the newest. */
  #begun(behind: number): Hls {
    const opening = this.#opening;
    const once = { default: { maxTimeToFirstByteMs: 10_000, maxLoadTimeMs: 20_000, timeoutRetry: null, errorRetry: null } };
    const hls = new Hls({
      enableWorker: false,
      liveSyncDurationCount: behind,
      maxLiveSyncPlaybackRate: CATCH_UP_RATE,
      backBufferLength: opening.beside ? 0 : BACK_S,
      // The first playlist is asked for once: only the page can tell a full edge from a stream that is not there.
      manifestLoadPolicy: once,
      playlistLoadPolicy: persistent(8),
      fragLoadPolicy: persistent(6),
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => opening.ready());
    hls.on(Hls.Events.ERROR, (_, error) => this.#failed(error));
    hls.loadSource(opening.url);
    hls.attachMedia(opening.video);
    return hls;
  }

  pictureAt(): number | null {
    return this.#hls.playingDate?.getTime() ?? null;
  }

  liveAt(): number | null {
    return this.#hls.liveSyncPosition;
  }

  close(): void {
    this.#hls.destroy();
  }

  #failed(error: ErrorData): void {
    if (!error.fatal) return;
    const status = error.response?.code ?? 0;
    const what = `${error.details} ${status}`;
    if (error.type !== Hls.ErrorTypes.MEDIA_ERROR) {
      this.#opening.trouble({ kind: 'refused', status, retryAfterMs: retryAfterMs(error.networkDetails) }, what);
      return;
    }
    const now = performance.now();
    if (now - this.#recoveredAt > RECOVERED_MS) this.#recoveries = 0;
    this.#recoveredAt = now;
    this.#recoveries += 1;
    if (this.#recoveries > RECOVERIES_MAX) this.#opening.trouble({ kind: 'undecodable' }, what);
    else if (error.error.name === OTHER_TRACKS) this.#beginAgain();
    else this.#hls.recoverMediaError();
  }

  /**
   * Buffers are made for the tracks of the first segment. Where sound or a picture begins later they are made anew, from
   * the newest segment on, since older ones may be without it.
   */
  #beginAgain(): void {
    this.#hls.destroy();
    this.#hls = this.#begun(1);
    this.#hls.once(Hls.Events.FRAG_BUFFERED, () => {
      this.#hls.config.liveSyncDurationCount = BEHIND_SEGMENTS;
    });
  }
}

/** `Retry-After` of the answer that was a refusal. */
function retryAfterMs(details: unknown): number {
  const header = details instanceof XMLHttpRequest ? details.getResponseHeader('retry-after') : null;
  const seconds = Number(header ?? 0);
  return Number.isFinite(seconds) ? seconds * 1_000 : 0;
}

class NativeEngine implements Engine {
  readonly #opening: Opening;
  readonly #stop = new AbortController();

  constructor(opening: Opening) {
    this.#opening = opening;
    const { video, url } = opening;
    const once = { signal: this.#stop.signal };
    video.addEventListener('error', () => void this.#failed(), once);
    video.addEventListener('loadedmetadata', () => opening.ready(), once);
    video.src = url;
    video.load();
  }

  pictureAt(): number | null {
    const { video } = this.#opening;
    const start = 'getStartDate' in video && typeof video.getStartDate === 'function' ? (video.getStartDate() as Date).getTime() : Number.NaN;
    return Number.isNaN(start) ? null : start + video.currentTime * 1_000;
  }

  liveAt(): number | null {
    const { seekable } = this.#opening.video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
  }

  close(): void {
    this.#stop.abort();
    this.#opening.video.removeAttribute('src');
    this.#opening.video.load();
  }

  /** The video element does not say what the answer was, so it is asked for again. */
  async #failed(): Promise<void> {
    const { url, video, trouble } = this.#opening;
    const what = `media error ${video.error?.code ?? 0}`;
    const answer = await fetch(url, { cache: 'no-store', credentials: 'omit' }).catch(() => null);
    if (this.#stop.signal.aborted) return;
    if (answer?.ok === true) trouble({ kind: 'undecodable' }, what);
    else trouble({ kind: 'refused', status: answer?.status ?? 0, retryAfterMs: Number(answer?.headers.get('retry-after') ?? 0) * 1_000 }, what);
  }
}
