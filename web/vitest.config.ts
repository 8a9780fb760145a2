import { defineConfig, mergeConfig } from "vitest/config";
import base from "./vite.config";

/** Tests stand apart: building needs no test tools. */
export default mergeConfig(
  base,
  defineConfig({ test: { environment: "jsdom", include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"], env: { TZ: "UTC" } } }),
);
