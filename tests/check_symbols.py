"""One list of names in four places: check_symbols.py SOURCE_ROOT LIBRARY

The names marked ND_API in the headers, those of tests/symbols.txt, of lib/neurodecode.map and those the library exports are the same; and the library calls
nothing that prints, ends the process or changes the locale."""
import pathlib
import re
import subprocess
import sys

FORBIDDEN = {"printf", "vprintf", "fprintf", "vfprintf", "puts", "putchar", "perror", "stdout", "stderr", "exit", "_exit", "abort", "setlocale", "rand", "srand"}


def symbols(library, *flags):
    lines = subprocess.run(["nm", "-D", *flags, library], check=True, capture_output=True, text=True).stdout.splitlines()
    found = {line.split()[-1].split("@")[0] for line in lines if " A " not in line}
    return {name.removeprefix("__").removesuffix("_chk") if name.endswith("_chk") else name for name in found}


root, library = pathlib.Path(sys.argv[1]), sys.argv[2]
headers = " ".join(path.read_text() for path in (root / "include").rglob("*.h"))
declared = set(re.findall(r"^ND_API\s[^;(]*?\b(nd_\w+)\(", headers, re.M))
places = {
    "tests/symbols.txt": set((root / "tests/symbols.txt").read_text().split()),
    "lib/neurodecode.map": set(re.findall(r"\b(nd_\w+);", (root / "lib/neurodecode.map").read_text())),
    "the library": symbols(library, "--defined-only"),
}
problems = []
for place, names in places.items():
    problems += [f"{place}: lacks {name}" for name in sorted(declared - names)]
    problems += [f"{place}: has {name}, which no header declares" for name in sorted(names - declared)]
problems += [f"the library: uses {name}" for name in sorted(symbols(library, "--undefined-only") & FORBIDDEN)]
print(*problems, f"{len(declared)} names, {len(problems)} problems", sep="\n")
sys.exit(bool(problems))
