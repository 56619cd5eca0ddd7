// What is read from other releases' and strangers' JSON.
import assert from 'node:assert/strict';
import test from 'node:test';
import { nextSession, readProgramme, readState } from '../shared/programme';

const FULL = {
  version: 1, fromANewerRelease: true, event: { title: 'Open lectures', more: 1 },
  page: { logo: 'https://example.org/logo.svg', accentColor: '#A01020' },
  streams: [{ name: 'a', title: 'Hall A', state: 'live', since: '2026-12-01T01:00:00.000Z' }, { name: 'b', state: 'odd' }, { title: 'no name' }, 7],
  sessions: [
    { title: 'Late', start: '2026-12-01T06:00:00Z', end: '2026-12-01T07:00:00Z', streams: ['a'] },
    { title: 'Early', start: '2026-12-01T01:00:00Z', end: '2026-12-01T04:00:00Z', streams: [] },
    { title: 'no time', start: 'soon', end: null },
  ],
};

test('what is known is taken, and the rest is ignored', () => {
  const read = readProgramme(FULL);
  assert.deepEqual(read.streams, [
    { name: 'a', title: 'Hall A', state: 'live', since: Date.UTC(2026, 11, 1, 1) },
    { name: 'b', title: 'b', state: 'idle', since: null },
  ]);
  assert.deepEqual(read.sessions.map((session) => session.title), ['Early', 'Late']);
  assert.deepEqual([read.title, read.logo, read.accentColor], ['Open lectures', 'https://example.org/logo.svg', '#A01020']);
});

test('nothing of it needs to be there', () => {
  for (const json of [null, 7, 'text', [], {}, { streams: 'x', sessions: { 0: 1 }, event: [], page: null }]) {
    assert.deepEqual(readProgramme(json), { title: '', logo: null, accentColor: null, streams: [], sessions: [] }, JSON.stringify(json));
    assert.equal(readState(json), 'idle');
  }
});

test('a logo is a picture and a colour is a colour', () => {
  for (const logo of ['javascript:alert(1)', 'data:text/html,<script>', '//example.org/x', ' https://example.org']) {
    assert.equal(readProgramme({ page: { logo } }).logo, null, logo);
  }
  for (const accentColor of ['red', '#12345', '#1234567', 'url(x)', '#12345g']) {
    assert.equal(readProgramme({ page: { accentColor } }).accentColor, null, accentColor);
  }
});

test('the next session of a hall is one of its own or of all halls', () => {
  const programme = readProgramme(FULL);
  const titles = (hour: number, stream: string): string | null => nextSession(programme, stream, Date.UTC(2026, 11, 1, hour))?.title ?? null;
  assert.deepEqual([titles(0, 'a'), titles(3, 'a'), titles(5, 'a'), titles(5, 'b'), titles(7, 'a')], ['Early', 'Early', 'Late', null, null]);
});
