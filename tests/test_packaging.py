"""What setup.cfg says is what the tree holds."""

from __future__ import annotations

import configparser
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import finetune_fsm
import finetune_fsm.schemas
from finetune_fsm.schema import schema

CONFIG = configparser.ConfigParser()
CONFIG.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
PACKAGE = Path(finetune_fsm.__file__).parent


def test_every_package_is_listed() -> None:
    listed = set(CONFIG["options"]["packages"].split())
    found = {
        ".".join(("finetune_fsm", *path.parent.relative_to(PACKAGE).parts))
        for path in PACKAGE.rglob("__init__.py")
    }
    assert listed == found | {"finetune_fsm.schemas"}


def test_the_version_is_said_once_more_and_the_same() -> None:
    assert finetune_fsm.__version__ == CONFIG["metadata"]["version"] == version("finetune-fsm")


def test_data_files_are_installed() -> None:
    assert files("finetune_fsm").joinpath("py.typed").is_file()
    assert files("finetune_fsm.improve").joinpath("prompts", "rewrite.txt").is_file()
    shipped = [f.name for f in files("finetune_fsm.schemas").iterdir() if f.name.endswith(".json")]
    assert {"workflow.schema.json", "suite.schema.json"} <= set(shipped)


def test_every_schema_is_a_valid_schema_with_a_name_of_its_own() -> None:
    from jsonschema import Draft202012Validator

    for file in files("finetune_fsm.schemas").iterdir():
        if file.name.endswith(".schema.json"):
            name = file.name.removesuffix(".schema.json")
            Draft202012Validator.check_schema(schema(name))
            assert str(schema(name)["$id"]).startswith(f"urn:finetune-fsm:{name}")
