"""The steps of the Dockerfile, run in an empty virtual environment: there is no Docker here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOKEN = "a token for this test"
FREE_PORT = 8765
MAX_INSTALLED_MB = 350


def steps():
    """Instruction and rest of each line."""
    text = (ROOT / "Dockerfile").read_text()
    return [tuple(line.split(" ", 1)) for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.slow
def test_its_steps_give_a_service_that_is_healthy_and_demands_the_token(tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    environment = {"PATH": f"{tmp_path / 'env' / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path)}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
    token = tmp_path / "token"
    token.write_text(TOKEN.replace(" ", "-"))

    def here(text):
        """The text with paths and the port of this test in place of the container's."""
        return text.replace("/app", str(tmp_path / "app")).replace("/run/secrets/token", str(token))

    users, health, command = [], None, None
    for instruction, rest in steps():
        if instruction == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                place = Path(here(target))
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, place)
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(ROOT / source, place)
        elif instruction == "RUN" and rest.startswith("pip"):
            subprocess.run(here(rest), shell=True, env=environment, check=True, cwd=tmp_path)
        elif instruction == "USER":
            users.append(rest)
        elif instruction == "HEALTHCHECK":
            health = json.loads(re.search(r"CMD (.*)", rest)[1])
        elif instruction == "CMD":
            command = [here(word) for word in json.loads(rest)]
    assert users == ["pose"]
    size = sum(file.stat().st_size for file in (tmp_path / "env").rglob("*") if file.is_file()) / 1e6
    print(f"installed: {size:.0f} MB")
    assert size < MAX_INSTALLED_MB
    health = [word.replace("8080", str(FREE_PORT)) for word in health]
    with subprocess.Popen([*command, "--port", str(FREE_PORT)], env=environment, cwd=tmp_path) as process:
        try:
            end = time.monotonic() + 120
            while subprocess.run(health, env=environment, capture_output=True, check=False).returncode:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(1)
            assert len(ask(token.read_text())["people"]) == 1
            with pytest.raises(urllib.error.HTTPError) as refusal:
                ask("another")
            assert refusal.value.code == 401
            refusal.value.close()
        finally:
            process.terminate()


def ask(token):
    """The answer to a photo."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{FREE_PORT}/v1/pose",
        (ROOT / "examples" / "skier.jpg").read_bytes(),
        {"Content-Type": "image/jpeg", "Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())
