"""What README says about settings and metrics is what the programs say."""

import re
import sys
from pathlib import Path

from kit.services import build_folder

_TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_TOP / "tests"))

import settings  # noqa: E402 (needs the path)

_README = (_TOP / "README.md").read_text(encoding="utf-8")


def test_the_table_of_settings_is_what_the_programs_print():
    missing = [row for row in settings.table(build_folder()) if row not in _README]
    assert not missing, "tests/settings.py prints what README should say"


def test_the_metrics_that_readme_names_exist(deployment):
    named = set(re.findall(r"`(warren_(?:gateway|broadcaster)_\w+)", _README))
    assert len(named) > 5
    printed = "".join(service.get("/metrics")[1]
                      for service in deployment.gateways + deployment.broadcasters)
    assert not {name for name in named if f"# HELP {name} " not in printed}


def test_the_folders_and_files_that_readme_names_exist():
    links = re.findall(r"\]\(([\w/.-]+)\)", _README)
    assert len(links) > 10
    assert not [link for link in links if not (_TOP / link).exists()]
