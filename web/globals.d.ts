// What the compiler cannot know: the light build of hls.js has no types of its own, and the build script puts in texts.
declare module 'hls.js/light' {
  export * from 'hls.js';
  export { default } from 'hls.js';
}

/** player/player.css, minified (build.mjs). */
declare const PLAYER_CSS: string;

declare module 'node:test' {
  export default function test(name: string, run: () => void): void;
}
declare module 'node:assert/strict' {
  const assert: {
    (value: unknown, message?: string): void;
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
  };
  export default assert;
}
