"""Photograph the report page for the README: `python docs/report_pictures.py`.

Takes report/index.html, as `make report` leaves it, as a desktop, a phone and paper
show it. Needs Debian's chromium, or CHROMIUM.
"""

import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).parent
PAGE = DOCS.parent / "report" / "index.html"
# File, width and height, medium, the section at the top.
SHOTS = [
    ("report.png", 1280, 900, "screen", None),
    ("report-phone.png", 390, 844, "screen", "sales"),
    ("report-print.png", 794, 1123, "print", "cohorts"),
]


def main() -> None:
    """Open the page without a network, and write the pictures."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None or not PAGE.exists():
        sys.exit("This needs chromium, and report/index.html from `make report`.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        for name, width, height, media, section in SHOTS:
            context = browser.new_context(
                viewport={"width": width, "height": height}, offline=True
            )
            page = context.new_page()
            page.emulate_media(media=media)
            page.goto(PAGE.as_uri())
            page.wait_for_selector("html[data-drawn]", state="attached", timeout=60_000)
            if section:
                page.locator(f"#{section}").scroll_into_view_if_needed()
                page.evaluate(f"document.getElementById('{section}').scrollIntoView()")
                page.wait_for_timeout(1000)
            page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main()
