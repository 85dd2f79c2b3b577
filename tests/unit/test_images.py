"""What can be known of the images without building one."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMAGES = sorted(path.parent.name for path in (ROOT / "docker").glob("*/Dockerfile"))
SHARES_THE_PLATFORMS_VERSIONS = sorted(set(IMAGES) - {"serving"})  # the Seldon wrapper pins old ones
DOES_WITHOUT = sorted(path.parent.name for path in (ROOT / "docker").glob("*/excludes.txt"))
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


def dockerfile(image: str) -> str:
    return (ROOT / "docker" / image / "Dockerfile").read_text()


def locked(path: Path) -> dict[str, str]:
    return dict(REQUIREMENT.findall(path.read_text()))


def asked_for(path: Path) -> set[str]:
    """The packages that a requirements.in names for this architecture, as locks spell them."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    names = (re.match(r"[A-Za-z0-9._-]+", line) for line in lines if '!= "x86_64"' not in line)
    return {name.group().lower().replace("_", "-") for name in names if name}


def instructions(image: str, name: str) -> list[str]:
    return re.findall(rf"^{name} (.+)$", dockerfile(image), re.MULTILINE)


def test_the_images_of_the_platform_are_there():
    assert IMAGES == ["airflow", "mlflow", "serving", "trainer"]


@pytest.mark.parametrize("image", SHARES_THE_PLATFORMS_VERSIONS)
def test_an_image_runs_the_versions_that_the_platform_is_tested_with(image):
    platform, here = locked(ROOT / "requirements.txt"), locked(ROOT / "docker" / image / "requirements.txt")
    assert {name: here[name] for name in here.keys() & platform.keys()} == {
        name: platform[name] for name in here.keys() & platform.keys()
    }


@pytest.mark.parametrize("image", IMAGES)
def test_a_lock_holds_all_that_is_asked_for(image):
    folder = ROOT / "docker" / image
    assert asked_for(folder / "requirements.in") <= locked(folder / "requirements.txt").keys()


@pytest.mark.parametrize("image", DOES_WITHOUT)
def test_what_an_image_does_without_is_not_locked(image):
    folder = ROOT / "docker" / image
    assert not asked_for(folder / "excludes.txt") & locked(folder / "requirements.txt").keys()


def test_only_training_carries_tensorflow():
    carriers = [image for image in IMAGES if "tensorflow-cpu" in locked(ROOT / "docker" / image / "requirements.txt")]
    assert carriers == ["trainer"]


@pytest.mark.parametrize("image", IMAGES)
def test_every_stage_starts_from_the_base_that_the_builder_chose(image):
    assert dockerfile(image).startswith("ARG PYTHON_IMAGE=python:3.12-slim-bookworm\n")
    assert {stage.split()[0] for stage in instructions(image, "FROM")} == {"${PYTHON_IMAGE}", "environment"}
    assert instructions(image, "FROM")[-1].startswith("${PYTHON_IMAGE} ")


@pytest.mark.parametrize("image", IMAGES)
def test_the_user_is_a_number_so_that_kubernetes_can_tell_it_is_not_root(image):
    assert instructions(image, "USER") == ["10001:10001"]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is(image):
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", dockerfile(image)))
    assert labels == {"title", "description", "version", "revision", "licenses"}
    licence = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    assert f'org.opencontainers.image.licenses="{licence}"' in dockerfile(image)


@pytest.mark.parametrize("image", IMAGES)
def test_the_last_stage_knows_neither_index_nor_proxy(image):
    final = dockerfile(image).rpartition("FROM ")[2]
    assert not re.search(r"INDEX|PROXY|CERT", final)
