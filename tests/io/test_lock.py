import subprocess
import sys
from pathlib import Path

from hevitpose.io.lock import hold_folder

HOLD = """
import sys, time
from pathlib import Path
from hevitpose.io.lock import hold_folder
with hold_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_has_one_user_and_is_free_after_kill_9(tmp_path, refused):
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    with refused(run, "another run uses it at this moment"), hold_folder(run):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    (run / ".1-2.part").touch()
    with hold_folder(run):
        assert [file.name for file in run.iterdir()] == [".lock"]


def test_nothing_is_left_of_a_folder_that_nothing_was_written_to(tmp_path):
    with hold_folder(tmp_path / "a"):
        pass
    with hold_folder(tmp_path / "b"):
        (tmp_path / "b" / "file").touch()
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*")] == [Path("b"), Path("b/file")]
