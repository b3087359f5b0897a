"""Write the locks again from pyproject.toml: hashes, no addresses, one for each function and one for this laptop."""

from __future__ import annotations

import subprocess
import sys

from tools.functions import ROOT, function_names


def lock(group: str, output: str) -> None:
    """Lock one dependency group. Versions already in the file stay as they are unless they no longer fit."""
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--quiet"),
            *("--group", group, "--output-file", output),
            *("--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--no-header", "--no-annotate"),
        ],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    locks = {name: f"functions/{name}/requirements.txt" for name in function_names()}
    locks |= {"lambda-runtime": "tests/artefacts/requirements.txt", "dev": "requirements-dev.txt"}
    for group, output in locks.items():
        lock(group, output)
        print(output)


if __name__ == "__main__":
    main()
