// Uses the explorer of a real binary in a real browser: every tab answers, nothing else is asked, nothing
// is logged as an error. Usage: CHROMIUM=/path node browser.mjs BINARY [SCREENSHOT-DIR]
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import tabs from '../src/tabs.json' with { type: 'json' };

const [binary, shots] = process.argv.slice(2);
const faults = [];

const server = spawn(binary, ['demo', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
const address = await new Promise((resolve, reject) => {
  let text = '';
  server.stdout.on('data', (chunk) => {
    text += chunk;
    const found = text.match(/Explorer\s+(http:\/\/127\.0\.0\.1:\d+\/)/);
    if (found) resolve(found[1]);
  });
  server.on('exit', (code) => reject(new Error(`the demo ended with ${code}`)));
});

const profile = mkdtempSync(join(tmpdir(), 'clew-browser-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  viewport: { width: 1400, height: 900 },
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage();
  page.on('console', (m) => m.type() === 'error' && faults.push(`console: ${m.text()}`));
  page.on('pageerror', (e) => faults.push(`page: ${e.message}`));
  page.on('request', (r) => {
    const url = new URL(r.url());
    if (url.origin + '/' !== address && !['data:', 'blob:'].includes(url.protocol)) faults.push(`request to ${url.origin}`);
  });
  await page.goto(address);
  for (const [i, tab] of tabs.entries()) {
    const [operation, name] = tab.query.match(/^(?:query|mutation) (\w+)/m);
    await page.getByRole('tab', { name: new RegExp(`^${name}`) }).click();
    await page.waitForTimeout(700); // a person does not press within the same instant
    const answered = page.waitForResponse((r) => r.url().endsWith('/graphql') && (r.request().postData() ?? '').includes(operation));
    await page.getByRole('button', { name: /Execute query/ }).click();
    const answer = await (await answered).json();
    if (answer.errors || !JSON.stringify(answer.data ?? null).match(/"[^"]+":("[^"]|\d|true|false)/)) {
      faults.push(`${name}: ${JSON.stringify(answer).slice(0, 500)}`);
    }
    await page.waitForTimeout(500);
    if (shots) await page.screenshot({ path: join(shots, `${i + 1}-${name}.png`) });
  }
} finally {
  await browser.close();
  server.removeAllListeners('exit');
  server.kill('SIGINT');
  rmSync(profile, { recursive: true, force: true });
}
const code = await new Promise((resolve) => server.exitCode === null ? server.on('exit', resolve) : resolve(server.exitCode));
if (code !== 0) faults.push(`the demo ended with ${code} after an interrupt`);
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
console.log(`explorer: ${tabs.length} tabs answered in a real browser, no other host was asked`);
