// The page at every edge: `/` is the programme of the event, `/live/STREAM/` plays a hall above it, `/embed/STREAM` is
// the player alone for other sites.
import { become, button, element, say } from '../shared/dom';
import { language, languageTag, onLanguage, speak, t } from '../shared/i18n';
import type { Programme } from '../shared/programme';
import { sourceOf } from '../shared/source';
import { embed } from './embed';
import { cards } from './cards';
import { Stage } from './stage';
import { timetable } from './timetable';

/** Period in which countdowns move. */
const SECOND_MS = 1_000;

const path = /^\/(live|embed)\/([^/]+)\/?$/.exec(location.pathname);
const stream = path?.[2] ?? null;
const app = document.getElementById('app') ?? document.body;
const source = sourceOf('');

function setLanguage(): void {
  document.documentElement.lang = languageTag();
}

function brand(programme: Programme): void {
  if (programme.accentColor !== null) document.documentElement.style.setProperty('--brand', programme.accentColor);
}

function wholePage(stream: string | null): void {
  const title = element('h1', { dir: 'auto' });
  const logo = element('img', { class: 'logo', alt: '', hidden: true });
  const home = element('a', { class: 'home', href: '/' }, logo, title);
  const other = button({ class: 'language' }, () => speak(language() === 'en' ? 'zh' : 'en'));
  const lists = element('div', { class: 'lists' });
  const stage = stream === null ? null : new Stage(stream, () => draw());
  app.append(element('header', {}, home, other), element('main', {}, stage?.root ?? null, lists));

  const draw = (): void => {
    setLanguage();
    say(other, t('language'));
    other.lang = language() === 'en' ? 'zh-CN' : 'en-GB';
    const { programme } = source;
    if (programme === null) return;
    brand(programme);
    say(title, programme.title);
    if (programme.logo !== null && logo.getAttribute('src') !== programme.logo) logo.src = programme.logo;
    logo.hidden = programme.logo === null;
    stage?.draw(programme);
    const watched = stage?.streams ?? [];
    document.title = stage?.title(programme) ?? programme.title;
    show(lists, cards(programme, source.now(), watched, stage), timetable(programme, source.now()));
  };
  source.follow(draw);
  onLanguage(draw);
  draw();
  window.setInterval(draw, SECOND_MS);
}

/** Shows these lists; see `become`. */
function show(where: HTMLElement, ...next: HTMLElement[]): void {
  next.forEach((made, index) => {
    const old = where.children[index];
    if (old === undefined) where.append(made);
    else become(old, made);
  });
}

setLanguage();
onLanguage(setLanguage);
if (path?.[1] === 'embed' && stream !== null) embed(app, stream, source);
else wholePage(stream);
