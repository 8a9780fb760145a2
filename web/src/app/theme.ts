import { createTheme, Menu, TableScrollContainer, type CSSVariablesResolver } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "cyan",
  primaryShade: 9, // of cyan the one that white can be read on, and that can be read on white
  defaultRadius: "sm",
  fontFamily: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  headings: { fontWeight: "600", sizes: { h1: { fontSize: "1.35rem" }, h2: { fontSize: "1.1rem" }, h3: { fontSize: "1rem" } } },
  cursorType: "pointer",
  fontSizes: { xs: "0.75rem", sm: "0.85rem", md: "0.9rem", lg: "1rem", xl: "1.15rem" },
  autoContrast: true,
  luminanceThreshold: 0.18, // above it black has more contrast than white
  components: {
    // a menu has entries alone, the first of which gets the focus
    Menu: Menu.extend({ defaultProps: { withInitialFocusPlaceholder: false } }),
    // what scrolls can be scrolled with the keyboard
    TableScrollContainer: TableScrollContainer.extend({ defaultProps: { scrollAreaProps: { viewportProps: { tabIndex: 0 } } } }),
  },
});

/** Mantine's own colours for what is read, where they have less contrast than 4.5 to 1 (WCAG 1.4.3). */
export const readable: CSSVariablesResolver = ({ colors }) => {
  const light: Record<string, string> = {
    "--mantine-color-dimmed": "var(--mantine-color-gray-7)",
    "--mantine-color-placeholder": "var(--mantine-color-gray-7)",
    "--mantine-color-error": "var(--mantine-color-red-9)",
  };
  const dark: Record<string, string> = {
    "--mantine-color-dimmed": "var(--mantine-color-dark-1)",
    "--mantine-color-placeholder": "var(--mantine-color-dark-1)",
    "--mantine-color-error": "var(--mantine-color-red-4)",
  };
  for (const name of Object.keys(colors)) {
    const deep = `color-mix(in srgb, var(--mantine-color-${name}-9) 70%, black)`;
    const hover = `color-mix(in srgb, var(--mantine-color-${name}-9) 88%, black)`;
    light[`--mantine-color-${name}-light-color`] = deep;
    light[`--mantine-color-${name}-text`] = deep;
    light[`--mantine-color-${name}-filled-hover`] = hover;
    dark[`--mantine-color-${name}-filled-hover`] = hover;
  }
  return { variables: {}, light, dark };
};
