"""Take the README's pictures of the running stack with headless Chromium: `make screenshots`, after `make demo`.

Chromium is driven through its DevTools protocol by Playwright, which logs in as a person would.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from headrace.bootstrap import AIRFLOW_USER, Platform
from headrace.errors import NotFoundError

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1440, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> None:
    """Write docs/pictures/*.png."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise NotFoundError("no Chromium on this machine", remedy="apt-get install chromium")
    platform = Platform()
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport=SIZE)
        airflow_grid(page, platform)
        mlflow_pages(page, platform)
        browser.close()


def airflow_grid(page: Page, platform: Platform) -> None:
    """The pipeline's grid, after logging in with the generated password."""
    url = platform.settings.airflow()
    page.goto(f"{url}/auth/login")
    page.fill("input[name=username]", AIRFLOW_USER)
    page.fill("input[name=password]", platform.settings.secret("airflow-admin"))
    page.click("button[type=submit]")
    page.wait_for_url(f"{url}/**")
    page.goto(f"{url}/dags/fashion_mnist")
    page.get_by_text("is_stale").first.wait_for()
    _picture(page, "airflow-grid")


def mlflow_pages(page: Page, platform: Platform) -> None:
    """The registered model with its aliases, and the experiment's runs."""
    url = platform.settings.tracking()
    page.goto(f"{url}/#/models/fashion-mnist")
    page.get_by_text("slot-1").first.wait_for()
    _picture(page, "mlflow-model")


def _picture(page: Page, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    main()
