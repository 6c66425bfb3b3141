"""A hook of MkDocs (`mkdocs.yml`) that gives pages of the site the same paths as in the repository.

Thus links between pages, and to pictures of results, work on the site and in the repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGES = (
    "*.md",
    "docs/*.md",
    "docs/*.ipynb",
    "docs/site.css",
    "docs/images/*",
    "benchmarks/README.md",
    "benchmarks/results/*.png",
)


def on_files(files: Any, *, config: Any) -> Any:
    """Replaces the files of `docs_dir` by those of `PAGES`, with paths from the root of the repository."""
    from mkdocs.structure.files import File

    docs = Path(config["docs_dir"])
    for file in list(files):
        if file.abs_src_path and docs in Path(file.abs_src_path).parents:
            files.remove(file)
    for path in sorted(path for pattern in PAGES for path in ROOT.glob(pattern)):
        files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files
