"""Pictures of the console's pages at three widths, light and dark, for people to look at: `.venv/bin/python tools/screens.py URL [PATH ...]` (a server that
runs, with data) writes them to `web/screens/`. Without paths: the pages of the menu."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

OUT = Path(__file__).resolve().parent.parent / "web" / "screens"
WIDTHS = {390: 844, 820: 1180, 1440: 900}
PAGES = ("/", "/tasks", "/processes", "/instances", "/designer", "/decisions", "/operations", "/insight", "/api")
SETTLE_MS = 1_200


def main(url: str, *paths: str) -> None:
    OUT.mkdir(exist_ok=True)
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome-stable"))), None)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        for width, height in WIDTHS.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale="en")
                context.add_init_script("localStorage.setItem('flowledger.actor', 'ann')")
                page = context.new_page()
                for path in paths or PAGES:
                    page.goto(f"{url.rstrip('/')}{path}")
                    page.locator("h1").first.wait_for()
                    page.wait_for_timeout(SETTLE_MS)
                    wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
                    name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "home"
                    page.screenshot(path=str(OUT / f"{name}-{width}-{scheme}.png"))
                    print(f"{name}-{width}-{scheme}.png{'  is wider than the screen' if wide else ''}", flush=True)
                context.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
