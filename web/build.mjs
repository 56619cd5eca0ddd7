// Builds dist/ and the table that the crate embeds it by:
//
//   node build.mjs [FOLDER]     FOLDER instead of dist/: a test compares the two
//
// Names carry a hash of the content. The same sources give the same bytes on every machine.
import { build, transform } from 'esbuild';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const dist = resolve(process.argv[2] ?? join(here, 'dist'));
const target = 'es2022';
const CSS_TARGET = ['chrome123', 'firefox128', 'safari17.5'];

/** What is said where scripts do not run; on a hall's page the link leads to its playlist. */
const NO_SCRIPT = {
  index: 'This page needs JavaScript. Without it a media player shows a hall: open /live/HALL/index.m3u8 in it.',
  live: 'This page needs JavaScript. Without it a media player shows this hall: <a href="index.m3u8">open its playlist</a> in one.',
  embed: 'This player needs JavaScript. Without it a media player shows this hall: open /live/HALL/index.m3u8 in it.',
};

const style = await transform(readFileSync(join(here, 'player/player.css'), 'utf8'), { loader: 'css', minify: true, target: CSS_TARGET });
rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const common = { bundle: true, minify: true, legalComments: 'none', charset: 'utf8', entryNames: '[name].[hash]', outdir: dist, absWorkingDir: here };
await build({
  ...common,
  entryPoints: { page: 'page/main.ts', player: 'player/element.ts' },
  chunkNames: 'core.[hash]',
  splitting: true,
  format: 'esm',
  target,
  define: { PLAYER_CSS: JSON.stringify(style.code.trim()) },
});
await build({ ...common, entryPoints: { page: 'page/page.css' }, target: CSS_TARGET });

const built = readdirSync(dist).sort();
const file = (name) => {
  const [stem, extension] = name.split('.');
  const found = built.filter((one) => one.startsWith(`${stem}.`) && one.endsWith(`.${extension}`));
  if (found.length !== 1) throw new Error(`one ${name} was expected, not ${found.length}: ${found}`);
  return found[0];
};
const shell = readFileSync(join(here, 'page/page.html'), 'utf8');
for (const [name, noScript] of Object.entries(NO_SCRIPT)) {
  const html = shell.replace(/%([a-z]+\.(?:js|css))%/g, (_, asset) => `/-/${file(asset)}`).replace('%noscript%', noScript);
  writeFileSync(join(dist, `${name}.html`), html);
}

const assets = ['page.css', 'core.js', 'page.js', 'player.js'];
const rows = assets.map((name) => {
  const [stem, hash, extension] = file(name).split('.');
  return `    Asset { stem: "${stem}", hash: "${hash}", extension: "${extension}", bytes: include_bytes!("../dist/${file(name)}") },\n`;
});
const table = `//! Written by build.mjs: the built files, by name.\n\nuse crate::Asset;\n\npub(crate) const ASSETS: &[Asset] = &[\n${rows.join('')}];\n`;
if (process.argv[2] === undefined) writeFileSync(join(here, 'src/table.rs'), table);
else writeFileSync(join(dist, 'table.rs'), table);
