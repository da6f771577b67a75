// mirror-lint as tests use it.
import assert from 'node:assert/strict';

import { run } from './process.mjs';
import { binary } from './server.mjs';

// {code, report}: the exit status and the JSON document.
export async function lint(url, args) {
  const { code, stdout, stderr } = await run(binary('mirror-lint'), ['--json', ...args, url], { codes: [0, 1] });
  assert.equal(stderr, '');
  const report = JSON.parse(stdout);
  assert.equal(code, report.errors + report.warnings > 0 ? 1 : 0, 'the exit status says what the report says');
  return { code, report };
}

export const rulesOf = (report) => new Set(report.findings.map((finding) => finding.rule));

// What a machine that is busy with other things does to a server that does nothing wrong.
const kLateness = new Set(['blocking-late', 'hint-late', 'part-late', 'report-stale', 'update-late']);

// Findings that accuse the server.
export const wrongIn = (report) =>
  report.findings.filter(({ rule, severity }) => severity !== 'note' && !kLateness.has(rule));
