"""Take the README's pictures of the running stack with headless Chromium: `make screenshots`, after `make demo`.

Chromium is driven by Playwright, which logs in as a person would.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from mlflow.tracking import MlflowClient
from playwright.sync_api import Page, sync_playwright

from headrace.bootstrap import Platform
from headrace.errors import NotFoundError, UnavailableError
from headrace.specs.deployment import last_live

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1440, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PIPELINE = "fashion_mnist"
MODEL = "fashion-mnist"
SLOT = "slot-1"
SERVES_WITHIN_SECONDS = 120


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
        moved_alias(page, platform)
        gate_page(page, platform)
        browser.close()


def airflow_grid(page: Page, platform: Platform) -> None:
    """The pipeline's runs and tasks, after logging in with the generated password."""
    url = platform.settings.airflow()
    page.goto(f"{url}/auth/login")
    user, password = platform.settings.airflow_login()
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    page.get_by_text("Dags", exact=True).first.wait_for()
    page.goto(f"{url}/dags/{PIPELINE}")
    page.get_by_text("is_stale").first.wait_for()
    page.get_by_text("Asset Events").first.wait_for()
    _picture(page, "airflow-grid")


def mlflow_pages(page: Page, platform: Platform) -> None:
    """The registered model with its aliases, and the experiment's runs."""
    url = platform.settings.tracking()
    page.goto(f"{url}/#/models/{MODEL}")
    page.get_by_text("slot-1").first.wait_for()
    page.locator("[data-component-id='mlflow.assistant.chat_panel.close']").click()
    _picture(page, "mlflow-model")
    experiment = MlflowClient(tracking_uri=url).get_experiment_by_name(PIPELINE)
    page.goto(f"{url}/#/experiments/{experiment.experiment_id}/runs")
    page.get_by_text("cnn_batch_norm").first.wait_for()
    _picture(page, "mlflow-runs")


def gate_page(page: Page, platform: Platform) -> None:
    """The page of the verdict that let the first slot's version pass, whole and without the viewer around it."""
    client = MlflowClient(tracking_uri=platform.settings.tracking())
    version = client.get_model_version_by_alias(MODEL, "slot-1")
    with tempfile.TemporaryDirectory() as folder:
        found = client.download_artifacts(version.run_id, f"gate/{MODEL}-{version.version}.html", folder)
        page.set_content(Path(found).read_text())
    _picture(page, "gate", full_page=True)


def moved_alias(page: Page, platform: Platform) -> None:
    """A slot's alias on its way to a version that does not serve; saved, waited for, and moved back."""
    url, registry = platform.settings.tracking(), platform.registry
    client = MlflowClient(tracking_uri=url)
    former = registry.aliases(MODEL)
    other = next(
        int(found.version)
        for found in client.search_model_versions(f"name = '{MODEL}'")
        if int(found.version) not in former.values()
    )
    page.goto(f"{url}/#/models/{MODEL}/versions/{other}")
    page.locator("[data-component-id*='modelversionviewaliaseditor']").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill(SLOT)
    dialog.get_by_role("combobox").press("Enter")
    dialog.get_by_text("is also being used").wait_for()
    _picture(page, "mlflow-alias")
    dialog.get_by_role("button", name="Save aliases").click()
    sys.stdout.write(f"version {other} serves {_seconds_until_it_serves(platform, other):.1f} s after it was saved\n")
    registry.set_alias(MODEL, SLOT, former[SLOT])
    _seconds_until_it_serves(platform, former[SLOT])


def _seconds_until_it_serves(platform: Platform, version: int) -> float:
    started = time.monotonic()
    while (serving := last_live(platform.history.deployments(MODEL))) is None or version not in serving.request.versions:
        if time.monotonic() - started > SERVES_WITHIN_SECONDS:
            raise UnavailableError(f"version {version} does not serve", remedy=f"`headrace history {MODEL}` says what happened.")
        time.sleep(0.1)
    return time.monotonic() - started


def _picture(page: Page, name: str, *, full_page: bool = False) -> None:
    page.screenshot(path=PICTURES / f"{name}.png", full_page=full_page)


if __name__ == "__main__":
    main()
