import { readFileSync } from 'node:fs';

import { defineConfig } from 'vite';

// Answers hold addresses that attackers chose. GraphiQL fetches the image behind an address the pointer rests on, and Monaco
// makes every address a link: both modules are replaced by ones that do nothing.
const inert = {
  '/@graphiql/react/dist/components/image-preview.js':
    'export const ImagePreview = Object.assign(() => null, { shouldRender: () => false });',
  '/monaco-editor/esm/vs/editor/contrib/links/browser/links.js': 'export {};',
};

function withoutAddressFetching() {
  const replaced = new Set();
  return {
    name: 'without-address-fetching',
    enforce: 'pre',
    load(id) {
      const path = Object.keys(inert).find((suffix) => id.endsWith(suffix));
      if (!path) return null;
      replaced.add(path);
      return { code: inert[path], moduleSideEffects: false };
    },
    // An upgrade may move a module; the build must not quietly bring it back.
    buildEnd(error) {
      const missed = Object.keys(inert).filter((path) => !replaced.has(path));
      if (!error && missed.length > 0) this.error(`no longer replaced: ${missed.join(', ')}`);
    },
  };
}

// The licence list covers packages; what Monaco itself was built from is in a file of its own.
function monacoNotices() {
  return {
    name: 'monaco-notices',
    generateBundle() {
      const source = readFileSync(new URL('./node_modules/monaco-editor/ThirdPartyNotices.txt', import.meta.url), 'utf8');
      this.emitFile({ type: 'asset', fileName: 'monaco-notices.txt', source });
    },
  };
}

const bundling = {
  output: { codeSplitting: { groups: [{ name: 'prettier', test: /node_modules\/prettier\// }] } },
  onLog(level, log, handle) {
    if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log); // "use client" means nothing in a page without a server half
  },
};

export default defineConfig({
  base: './', // the page works under any path it is mounted on
  plugins: [withoutAddressFetching(), monacoNotices()],
  // Prettier ships each parser under two names; one of them is enough.
  resolve: {
    alias: {
      'prettier/parser-graphql': 'prettier/plugins/graphql',
      'prettier/parser-babel': 'prettier/plugins/babel',
    },
  },
  worker: { format: 'es', rolldownOptions: bundling },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 5000, // Monaco is one large file by intent
    rolldownOptions: bundling,
    license: { fileName: 'licenses.md' },
    // The icon is named by the page and by the code; which one is met first decides whether it is inlined, and that
    // differs from build to build.
    assetsInlineLimit: 0,
  },
});
