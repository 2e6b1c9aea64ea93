import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

// During development `npm run dev` serves the page and passes API and media on to a running platform.
const platform = 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [vue()],
  build: { outDir: 'static', emptyOutDir: true, target: 'es2022' },
  server: {
    proxy: {
      '/api': platform,
      '/live': { target: platform, ws: true },
    },
  },
})
