import pytest
from benchmark_harness import NODE, small_artifact, write_archive


@pytest.fixture
def archive(tmp_path):
    """An archive with one pruned component of ours."""
    return write_archive(tmp_path / "model.tar.gz", {NODE: small_artifact()})
