// Elements without a framework: text is always text, so that nothing a title says can become markup.

type Child = Node | string | null;
type Attributes = { readonly [name: string]: string | number | boolean | null };

/** An element with attributes (`true`: without a value; `null` and `false`: none) and children. */
export function element<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

export function button(attributes: Attributes, press: () => void, ...children: Child[]): HTMLButtonElement {
  const made = element('button', { type: 'button', ...attributes }, ...children);
  made.addEventListener('click', press);
  return made;
}

/** Sets a text only where it differs: screen readers speak what changes. */
export function say(where: Element, text: string): void {
  if (where.textContent !== text) where.textContent = text;
}

/** Makes `old` look like `made` with as few changes as possible: what is focused, pressed or unfolded stays so. Elements
 *  keep their listeners, so these may depend on nothing but `data-key`, which is compared. */
export function become(old: Element, made: Element): void {
  if (old.tagName !== made.tagName || old.getAttribute('data-key') !== made.getAttribute('data-key')) return old.replaceWith(made);
  for (const { name } of [...old.attributes]) if (!made.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  for (const { name, value } of made.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (made.childElementCount === 0) {
    if (old.textContent !== made.textContent || old.childElementCount > 0) old.textContent = made.textContent;
    return;
  }
  const next = [...made.childNodes];
  next.forEach((child, index) => {
    const now = old.childNodes[index];
    if (now === undefined) old.append(child);
    else if (now instanceof Element && child instanceof Element) become(now, child);
    else if (now.nodeType === child.nodeType && now.nodeValue === child.nodeValue) return;
    else old.replaceChild(child, now);
  });
  while (old.childNodes.length > next.length) old.lastChild?.remove();
}

const SVG = 'http://www.w3.org/2000/svg';

const ICONS = {
  play: 'M7 4.5v15l12.5-7.5z',
  pause: 'M6.5 5.5h3v13h-3zM14.5 5.5h3v13h-3z',
  muted: 'M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 8.8l6.4 6.4M21.9 8.8l-6.4 6.4',
  sound: 'M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  window: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5',
  picture: 'M3 5h18v14H3zM12.5 12.5H18V16h-5.5z',
  cast: 'M5 17H3V5h18v12h-2M12 14l5 6H7z',
  keys: 'M3 6h18v12H3zM6.5 10h.1M10.2 10h.1M13.8 10h.1M17.4 10h.1M8 14h8',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18M12 7v5l3.5 2',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
} as const;

export type Icon = keyof typeof ICONS;

export function icon(name: Icon): SVGElement {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('class', `icon icon-${name}`);
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}
