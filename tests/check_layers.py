"""The rules of the house that a compiler does not check: check_layers.py SOURCE_ROOT

A file includes its own folder and folders below it; blis.h has one user; memory comes from base/mem.c; every source and test is built; none is longer than 700 lines."""
import pathlib
import re
import sys

LAYERS = ["base", "math", "io", "data", "nn", "encoders", "loss", "train", "eval", "api"]
root = pathlib.Path(sys.argv[1])
lib = root / "lib"
built = set(re.findall(r"'(\w+/\w+\.c)'", (lib / "meson.build").read_text()))
problems = []


def check(path):
    name, text = path.relative_to(lib).as_posix(), path.read_text()
    layer = name.split("/")[0]
    for include in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        folder = include.split("/")[0]
        if folder == "neurodecode":
            known = (root / "include" / include).exists()
        else:
            known = folder in LAYERS and (lib / include).exists()
            if known and LAYERS.index(folder) > LAYERS.index(layer):
                problems.append(f"{name}: includes {include}, which is above it")
        if not known:
            problems.append(f"{name}: includes {include}, which is neither public nor lib/LAYER/FILE")
    if "<blis.h>" in text and name != "math/gemm.c":
        problems.append(f"{name}: includes blis.h, which only math/gemm.c may")
    code = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", text, flags=re.S)
    if name != "base/mem.c" and (call := re.search(r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup|asprintf)\s*\(", code)):
        problems.append(f"{name}: calls {call[1]}; memory comes from base/mem.h")
    if text.count("\n") > 700:
        problems.append(f"{name}: {text.count(chr(10))} lines; 700 are the most")
    if path.suffix == ".c" and name not in built:
        problems.append(f"{name}: not in lib/meson.build")


files = sorted(path for path in lib.rglob("*.[ch]"))
for path in files:
    check(path)
tests = (root / "tests/meson.build").read_text()
problems += [f"tests/{path.name}: not in tests/meson.build" for path in sorted((root / "tests").glob("test_*.c")) if f"'{path.stem[5:]}'," not in tests]
print(*problems, f"{len(files)} files, {len(problems)} problems", sep="\n")
sys.exit(bool(problems))
