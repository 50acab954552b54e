"""Runs the commands of the section "Public data, by command" of docs/data.md and compares the figures in their comments with what comes out. NEURODECODE names the tool, ND_DATA the
folder of the data (default ../shared/data); data sets that are not there are skipped."""
import glob
import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

TOOL = os.environ["NEURODECODE"]
DATA = pathlib.Path(os.environ.get("ND_DATA", "../shared/data")).resolve()
SECTION = "## Public data, by command"


def commands():
    """(title of the data set, list of (words, comment)), in the order of the page."""
    page = pathlib.Path("docs/data.md").read_text(encoding="utf-8")
    section = page[page.index(SECTION) + len(SECTION):].split("\n## ")[0]
    for part in section.split("\n**")[1:]:
        lines = "\n".join(line.strip() for line in part.splitlines() if line.startswith("    ")).replace("\\\n", " ").splitlines()
        yield part.split("**")[0], [(line.partition("#")[0], line.partition("#")[2].strip()) for line in lines if line]


def words_of(command):
    for word in shlex.split(command)[1:]:
        word = word.replace("$ND_DATA", str(DATA))
        yield from sorted(glob.glob(word)) or [word] if "*" in word else [word]


class Public(unittest.TestCase):
    def follow(self, command, comment, folder):
        words = list(words_of(command))
        done = subprocess.run([TOOL, *words, "--quiet", "--json"], cwd=folder, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        for name, figure in re.findall(r"(\w+) ([\d.]+) %", comment):
            value = result[name]["value"] if isinstance(result[name], dict) else result[name]
            self.assertEqual(f"{100 * value:.{len(figure.partition('.')[2])}f}", figure, f"{name} of {command}")

    def test_commands(self):
        sets = list(commands())
        self.assertGreaterEqual(len(sets), 3)
        missing = []
        for title, lines in sets:
            self.assertTrue(any("%" in comment for _, comment in lines), f"{title}: no figure")
            named = {re.match(r"[^/ ]+", place).group() for command, _ in lines for place in re.findall(r"\$ND_DATA/(\S+)", command)}
            if not all((DATA / name).is_dir() for name in named):
                missing.append(title)
                continue
            with tempfile.TemporaryDirectory(prefix="neurodecode-") as folder:
                for command, comment in lines:
                    with self.subTest(title, command=command):
                        self.follow(command, comment, folder)
        if missing:
            self.skipTest(f"not in {DATA}: {', '.join(missing)}")


if __name__ == "__main__":
    unittest.main()
