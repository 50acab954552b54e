"""Compiles every public header by itself as C99, C11 and C++11, without padding in its structs: check_headers.py INCLUDE CC..."""
import pathlib
import shutil
import subprocess
import sys

include, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
cxx = shutil.which("clang++" if "clang" in compiler[0] else "g++") or shutil.which("c++")
languages = [(compiler, "c", "c99"), (compiler, "c", "c11")] + ([([cxx], "c++", "c++11")] if cxx else [])
warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wpadded", "-Werror"]
failures = 0
for header in sorted(include.rglob("*.h")):
    name = header.relative_to(include).as_posix()
    for command, language, standard in languages:
        done = subprocess.run([*command, "-x", language, f"-std={standard}", *warnings, "-fsyntax-only", f"-I{include}", f'-DHEADER="{name}"',
                               str(pathlib.Path(__file__).with_name("header.c"))], capture_output=True, text=True)
        if done.returncode:
            failures += 1
            print(f"{name} as {standard}:\n{done.stderr}")
print(f"{failures} failures", "" if cxx else "(no C++ compiler: C++11 left out)")
sys.exit(failures > 0)
