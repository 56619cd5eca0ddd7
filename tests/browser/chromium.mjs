// Starts Chromium as the tests of the pages need it: the system's own, headless, silent.
import { chromium } from 'playwright-core';
import { existsSync } from 'node:fs';

const executablePath = [process.env.LECTERN_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));

/** A browser; `autoplay`: videos may start with sound. */
export function launch({ autoplay = true } = {}) {
  return chromium.launch({
    executablePath,
    headless: true,
    chromiumSandbox: process.getuid() !== 0,
    args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--mute-audio', ...(autoplay ? ['--autoplay-policy=no-user-gesture-required'] : [])],
  });
}

/** A page that notes what it must not do: `page.faults()` gives violations of its policy and errors of its scripts. */
export async function newPage(browser, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', timezoneId: 'Asia/Shanghai', ...options });
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (event) => window.violations.push(`${event.effectiveDirective} ${event.blockedURI}`));
  });
  page.faults = async () => [...errors, ...(await page.evaluate(() => window.violations))];
  return page;
}
