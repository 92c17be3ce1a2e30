from pathlib import Path

import pytest

from hevitpose.cli.video import clip_tasks, refuse_unwritable
from hevitpose.core.errors import InputError


@pytest.mark.parametrize("clip", ["walk.mp4", "walk.2024.mp4"])
def test_the_folder_of_an_earlier_run_takes_openpose_files_again(tmp_path, clip):
    results = tmp_path / f"{Path(clip).stem}_openpose"
    results.mkdir()
    (task,) = clip_tasks([tmp_path / clip], tmp_path, False, "openpose", [])
    assert task.results == results


def test_a_folder_is_no_file_of_results(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        refuse_unwritable(tmp_path)
