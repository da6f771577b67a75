// The Chromium of the tests: headless, decoding in software, with nothing that disturbs a
// measurement, and content with Mirror's own certificate.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { installProbe } from './probe.mjs';

export const browserPath = process.env.MIRROR_CHROMIUM ?? '/usr/bin/chromium';

// {browser, page}; the page has the probe of probe.mjs. With `quic` it may speak HTTP/3; `args` are added.
export async function openBrowser(say, { quic = false, args = [] } = {}) {
  assert.ok(existsSync(browserPath), `${browserPath} is missing: install chromium`);
  const browser = await chromium.launch({
    executablePath: browserPath,
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', ...(quic ? [] : ['--disable-quic']), ...args, '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--ignore-certificate-errors',
      '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling',
      '--disable-renderer-backgrounding'],
  });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 720 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => say(`page error: ${error.message}`));
  await page.addInitScript(installProbe);
  return { browser, page };
}
