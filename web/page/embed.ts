// The player alone, for iframes of other sites: it fills the frame, and what it has to say is inside it.
import { element, say } from '../shared/dom';
import { onLanguage, t } from '../shared/i18n';
import type { Source } from '../shared/source';
import '../player/element';

export function embed(app: HTMLElement, stream: string, source: Source): void {
  document.documentElement.classList.add('embed');
  const muted = new URLSearchParams(location.search).get('muted') !== null;
  const player = element('lectern-player' as 'div', { stream, muted });
  const link = element('a', { class: 'whole', href: `/live/${encodeURIComponent(stream)}/`, target: '_blank', rel: 'noopener' });
  const heading = element('h1', { class: 'unseen', dir: 'auto' });
  app.append(element('main', {}, heading, player, link));
  const draw = (): void => {
    link.textContent = t('fullPage');
    const { programme } = source;
    if (programme === null) return;
    if (programme.accentColor !== null) document.documentElement.style.setProperty('--brand', programme.accentColor);
    const own = programme.streams.find((one) => one.name === stream);
    document.title = own?.title ?? programme.title;
    say(heading, document.title);
  };
  source.follow(draw);
  onLanguage(draw);
  draw();
}
