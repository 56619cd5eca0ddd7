// Runs test/*.test.ts in node's own test runner: each is bundled first, since node does not read TypeScript.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lectern-web-'));
const tests = readdirSync(join(here, 'test')).filter((name) => name.endsWith('.test.ts'));
await build({
  entryPoints: tests.map((name) => join(here, 'test', name)),
  bundle: true, platform: 'node', format: 'esm', outdir: folder, outExtension: { '.js': '.mjs' }, logLevel: 'warning',
});
const files = readdirSync(folder).map((name) => join(folder, name));
const done = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit' });
rmSync(folder, { recursive: true });
process.exit(done.status ?? 1);
