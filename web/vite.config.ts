import { createHash } from 'node:crypto';
import { createReadStream, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultClientConditions, defineConfig, type Plugin } from 'vite';
import generated from './src/generated.json' with { type: 'json' };

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(here);
const runtime = join(here, 'node_modules/onnxruntime-web/dist');
/** Files of the repository that lie beside the page, by their path there. */
const besides = new Map([
  ...[generated.detector, ...generated.models].map(({ name }): [string, string] => [
    `models/${name}.onnx`,
    join(root, `src/hevitpose/weights/${name}.onnx`),
  ]),
  ...['meadow', 'skier', 'street'].map((name): [string, string] => [`examples/${name}.jpg`, join(root, `examples/${name}.jpg`)]),
]);

/** Copies these files and writes the service worker, which must know every file of the page itself. */
function filesBesides(): Plugin {
  let out = '';
  return {
    name: 'hevitpose-files',
    configResolved(config) {
      out = join(config.root, config.build.outDir);
    },
    configureServer(server) {
      server.middlewares.use((request, response, next) => {
        const file = besides.get((request.url ?? '').replace(/^\/|\?.*/g, ''));
        if (file) createReadStream(file).pipe(response);
        else next();
      });
    },
    closeBundle() {
      if (!existsSync(out)) return;
      for (const [path, file] of besides) {
        mkdirSync(dirname(join(out, path)), { recursive: true });
        copyFileSync(file, join(out, path));
      }
      const all = readdirSync(out, { recursive: true, withFileTypes: true });
      const paths = all.filter((entry) => entry.isFile()).map((entry) => relative(out, join(entry.parentPath, entry.name)));
      const shell = paths.filter((path) => !/\.(wasm|onnx)$/.test(path) && path !== 'sw.js').sort();
      const hash = createHash('sha256');
      for (const path of shell) hash.update(path).update(readFileSync(join(out, path)));
      const list = JSON.stringify(['./', ...shell.filter((path) => path !== 'index.html')]);
      const source = readFileSync(join(here, 'src/sw.js'), 'utf8');
      writeFileSync(
        join(out, 'sw.js'),
        source.replace('__SHELL__', list).replace('__VERSION__', hash.digest('hex').slice(0, 12)),
      );
    },
  };
}

export default defineConfig({
  base: './',
  plugins: [filesBesides()],
  // ONNX Runtime's own loading of its WebAssembly is left out: src/networks.ts does it.
  resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
  optimizeDeps: { exclude: ['onnxruntime-web'] },
  worker: { format: 'es' },
  define: {
    __CPU_WASM_BYTES__: statSync(join(runtime, 'ort-wasm-simd-threaded.wasm')).size,
    __GPU_WASM_BYTES__: statSync(join(runtime, 'ort-wasm-simd-threaded.jspi.wasm')).size,
  },
  build: { target: 'es2022', emptyOutDir: true, reportCompressedSize: false },
});
