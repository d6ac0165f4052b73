"""The notebook instance at AWS: its template is valid, deploys to a stand-in, allows little, and stops itself."""

import base64
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.iam.models import Role
from moto.sagemaker.models import (
    FakeSagemakerNotebookInstance,
    FakeSageMakerNotebookInstanceLifecycleConfig,
)

TEMPLATE = Path(__file__).parents[1] / ".github" / "cloud" / "notebook.yaml"
REPO = "https://github.com/ada/trashlens.git"
NAME = "trashlens-test"
REGION = "eu-central-1"


# The stand-in knows the machines of some years ago only.
GIVEN = {"Repo": REPO, "InstanceType": "ml.c5.xlarge", "VolumeGB": "50", "IdleMinutes": "60"}


@pytest.fixture(scope="module", autouse=True)
def made() -> Iterator[dict[str, dict[str, Any]]]:
    """The stack, deployed to a stand-in for AWS in this process: the properties of what was made, by kind.

    They are kept on their way, since the stand-in's own notebook instance forgets most of them.
    """
    made: dict[str, dict[str, Any]] = {}
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for kind in (Role, FakeSagemakerNotebookInstance, FakeSageMakerNotebookInstanceLifecycleConfig):
            keep_properties(patch, kind, made)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "none")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        boto3.client("cloudformation").create_stack(
            StackName=NAME,
            TemplateBody=TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in GIVEN.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        yield made
        # Only here, since all tests share the stack.
        boto3.client("cloudformation").delete_stack(StackName=NAME)
        assert boto3.client("sagemaker").list_notebook_instances()["NotebookInstances"] == []
        assert boto3.client("iam").list_roles()["Roles"] == []


def keep_properties(patch: pytest.MonkeyPatch, kind: Any, kept: dict[str, dict[str, Any]]) -> None:
    """Have the stand-in tell what a template's resource of this kind is made with."""
    create = kind.create_from_cloudformation_json

    def keep(name: str, described: Any, *rest: Any, **options: Any) -> Any:
        kept[described["Type"].split("::")[-1]] = described["Properties"]
        return create(name, described, *rest, **options)

    patch.setattr(kind, "create_from_cloudformation_json", keep)


def script(made: dict[str, dict[str, Any]], when: str) -> str:
    """Return a script of the lifecycle configuration."""
    (content,) = made["NotebookInstanceLifecycleConfig"][when]
    return base64.b64decode(content["Content"]).decode()


def test_cfn_lint_finds_nothing() -> None:
    result = subprocess.run(["cfn-lint", str(TEMPLATE)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_is_asked_for_is_what_starts(made: dict[str, dict[str, Any]]) -> None:
    notebook = made["NotebookInstance"]
    assert notebook["InstanceType"] == GIVEN["InstanceType"]
    assert str(notebook["VolumeSizeInGB"]) == GIVEN["VolumeGB"]
    assert notebook["DefaultCodeRepository"] == GIVEN["Repo"]
    assert notebook["RootAccess"] == "Disabled"
    assert notebook["NotebookInstanceName"] == NAME
    assert notebook["LifecycleConfigName"]
    (started,) = boto3.client("sagemaker").list_notebook_instances()["NotebookInstances"]
    assert started["InstanceType"] == GIVEN["InstanceType"]
    assert f"minutes={GIVEN['IdleMinutes']}\n" in script(made, "OnStart")
    assert "${" not in script(made, "OnStart")


def test_it_may_stop_itself_and_write_its_log_and_nothing_else(made: dict[str, dict[str, Any]]) -> None:
    assert set(made["Role"]) == {"AssumeRolePolicyDocument", "Description", "Policies"}
    allowed: dict[str, str] = {}
    for policy in made["Role"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow"
            actions = statement["Action"]
            named = [actions] if isinstance(actions, str) else actions
            allowed |= dict.fromkeys(named, statement["Resource"])
    here = f"{REGION}:123456789012"
    logs = f"arn:aws:logs:{here}:log-group:/aws/sagemaker/NotebookInstances*"
    assert allowed == {
        "sagemaker:StopNotebookInstance": f"arn:aws:sagemaker:{here}:notebook-instance/{NAME}",
        **dict.fromkeys(("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"), logs),
    }


@pytest.mark.parametrize(
    ("load", "up_s", "age_s", "stops"),
    [
        (0.1, 7200, 7200, True),
        (0.9, 7200, 7200, False),  # it trains
        (0.1, 600, 7200, False),  # it has just been started
        (0.1, 7200, 60, False),  # somebody writes
    ],
)
def test_it_stops_when_it_is_idle_and_only_then(
    made: dict[str, dict[str, Any]], load: float, up_s: int, age_s: int, stops: bool, tmp_path: Path
) -> None:
    found = re.search(r"trashlens-idle <<'END'\n(.*?)\nEND\n", script(made, "OnStart"), re.DOTALL)
    assert found
    work, proc, log = tmp_path / "SageMaker", tmp_path / "proc", tmp_path / "asked"
    for folder in (work, proc, tmp_path / "bin"):
        folder.mkdir()
    (proc / "loadavg").write_text(f"0.0 0.0 {load} 1/200 4711\n")
    (proc / "uptime").write_text(f"{up_s}.25 9000.5\n")
    (work / "notes.ipynb").touch()
    then = (work / "notes.ipynb").stat().st_mtime - age_s
    os.utime(work / "notes.ipynb", (then, then))
    (tmp_path / "bin" / "aws").write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    (tmp_path / "bin" / "aws").chmod(0o755)
    code = found[1].replace("/proc/", f"{proc}/").replace("/home/ec2-user/SageMaker", str(work))
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    subprocess.run(["bash", "-c", code], env=environment, check=True)
    asked = f"sagemaker stop-notebook-instance --region {REGION} --notebook-instance-name {NAME}\n"
    assert (log.read_text() if log.exists() else "") == (asked if stops else "")


def test_its_scripts_are_whole(made: dict[str, dict[str, Any]]) -> None:
    text = script(made, "OnStart")
    parts = [text, *re.findall(r"<<'END'\n(.*?)\nEND\n", text, re.DOTALL)]
    assert len(parts) == 3
    for part in parts:
        assert part.startswith("#!/bin/bash\n")
        subprocess.run(["bash", "-n"], input=part, text=True, check=True)


def test_what_failed_to_install_is_tried_again_and_what_is_there_is_left(
    made: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    found = re.search(r"trashlens-install <<'END'\n(.*?)\nEND\n", script(made, "OnStart"), re.DOTALL)
    assert found
    work, tools = tmp_path / "SageMaker", tmp_path / "bin"
    (work / "trashlens").mkdir(parents=True)
    (work / "trashlens" / "Pipfile.lock").touch()
    tools.mkdir()
    code = found[1].replace("/home/ec2-user/SageMaker", str(work))
    code = code.replace("/home/ec2-user/anaconda3/bin/conda", str(tools / "conda"))
    environment = {"PATH": f"{tools}:{os.environ['PATH']}"}

    def install(**answers: str) -> int:
        for name in ("conda", "pip", "pipenv"):
            (tools / name).write_text(f"#!/bin/sh\necho {name} $@\n{answers.get(name, 'true')}\n")
            (tools / name).chmod(0o755)
        return subprocess.run(["bash", "-c", code], env=environment, check=False).returncode

    assert install(pip="echo no network; false") != 0
    assert not (work / "ready").exists()
    assert "no network" in (work / "install.log").read_text()
    assert install() == 0
    assert (work / "ready").exists()
    assert "pipenv sync --categories packages train" in (work / "install.log").read_text()
    done = (work / "install.log").read_text()
    assert install(conda="false") == 0
    assert (work / "install.log").read_text() == done


@pytest.mark.parametrize(
    ("repo", "fits"),
    [
        (REPO, True),
        ("git@github.com:ada/trashlens.git", False),
        ("https://ada:token@github.com/t", False),
    ],
)
def test_a_repository_with_credentials_is_refused(repo: str, fits: bool) -> None:
    pattern = re.search(r"AllowedPattern: (https\S+)", TEMPLATE.read_text())
    assert pattern
    assert bool(re.fullmatch(pattern[1], repo)) == fits
