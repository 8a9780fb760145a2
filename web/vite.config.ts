import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

/** What each page needs besides what the shell needs, for the server to name in the page's head (`api/console.py`): one after the other each file waits for the one before. */
const ahead: Plugin = {
  name: "ahead",
  generateBundle: {
    order: "post", // Vite takes chunks away that had styles alone
    handler(_, bundle) {
      const chunks = Object.values(bundle).flatMap((c) => (c.type === "chunk" ? [c] : []));
      const within = (name: string, found = new Set<string>()): Set<string> => {
        const chunk = chunks.find((c) => c.fileName === name);
        if (!chunk || found.has(name)) return found;
        found.add(name);
        for (const css of chunk.viteMetadata?.importedCss ?? []) found.add(css);
        for (const next of chunk.imports) within(next, found);
        return found;
      };
      const shell = chunks.find((c) => c.isEntry);
      const there = within(shell!.fileName);
      const pages = chunks.filter((c) => /src\/pages\/.*Page\.tsx$/.test(c.facadeModuleId ?? ""));
      const first = chunks.find((c) => c.name === "first");
      if (first?.imports.length !== 0) this.error("expected src/api/first.ts in a chunk that imports no other, so that it runs while they come");
      const files = Object.fromEntries(pages.map((c) => [c.name, [...within(c.fileName)].filter((f) => !there.has(f)).sort()]));
      this.emitFile({ type: "asset", fileName: "ahead.json", source: JSON.stringify({ first: [first.fileName], ...files }) });
    },
  },
};

/** Scripts are few and of a size: a page is the shell, what most pages share, and its own. Fifty small ones took a fresh browser a third of a second. */
const groups = [
  { name: "first", test: /src\/(api\/(first|several|client|session|who)|shared\/storage)\.ts/, priority: 6 },
  { name: "shell", tags: ["$initial" as const], priority: 5 },
  { name: "viewer", test: /node_modules\/(bpmn-|diagram-js|moddle|saxen|tiny-svg|min-d|object-refs|path-intersection|inherits-browser|ids\/|domify|didi)/, minShareCount: 4, priority: 4 },
  { name: "rows", test: /node_modules\/@tanstack\/(react-)?virtual|src\/shared\/RowList/, minShareCount: 3, priority: 3 },
  { name: "parts", test: /node_modules\/@mantine\/(?!.*\/(NumberInput|JsonInput|Textarea|Autocomplete|Radio|FileButton|Combobox|Select|Checkbox|Switch|Tabs|SegmentedControl|FloatingIndicator)\/)|src\/(shared\/(Status|time|Cards|Folded|save)|api\/useSeveral)/, minShareCount: 3, priority: 2 },
  { name: "fields", test: /node_modules\/(@mantine|react-number-format)|src\/shared\/(Ask|Json|form)/, minShareCount: 3, priority: 1 },
];

/** The server serves what is built below `/console/`; pages live at `/`. `npm run dev` speaks to a server on 8080. */
export default defineConfig({
  base: "/console/",
  plugins: [react(), ahead],
  resolve: { alias: { "~": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    chunkSizeWarningLimit: 2000,
    assetsInlineLimit: 0,
    rolldownOptions: { output: { codeSplitting: { groups } } },
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8080", "/health": "http://127.0.0.1:8080" } },
});
