// Which language is spoken, and sentences in it. The choice lives as long as the tab.
import { en, type Words } from './i18n/en';
import { zh } from './i18n/zh';

export type Language = 'en' | 'zh';

const TABLES: { readonly [L in Language]: Words } = { en, zh };
const KEPT_AS = 'lectern-language';

let spoken: Language = first();
const listeners = new Set<() => void>();

function first(): Language {
  const wanted = [new URLSearchParams(location.search).get('lang'), kept(), ...navigator.languages];
  return wanted.find((tag) => tag !== null && tag !== '')?.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

function kept(): string | null {
  try {
    return sessionStorage.getItem(KEPT_AS);
  } catch {
    return null; // A browser that keeps nothing: the choice is made again with each page.
  }
}

export function language(): Language {
  return spoken;
}

/** What `lang` attributes and `Intl` take. */
export function languageTag(): string {
  return spoken === 'zh' ? 'zh-CN' : 'en-GB';
}

export function speak(next: Language): void {
  spoken = next;
  try {
    sessionStorage.setItem(KEPT_AS, next);
  } catch {
    // See `kept`.
  }
  listeners.forEach((listener) => listener());
}

/** Calls `listener` whenever another language is chosen, until the answer is called. */
export function onLanguage(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function t(key: keyof Words, ...values: readonly (string | number)[]): string {
  return TABLES[spoken][key].replace(/\{(\d)\}/g, (_, index: string) => String(values[Number(index)] ?? ''));
}
