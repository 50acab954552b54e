"""Uses the library as its users do: check_install.py SOURCE_ROOT BUILD CC

Installs into a temporary folder and builds examples/decode.c through pkg-config and through CMake; then builds it in a project that has the library as a subproject."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

CMAKE = """cmake_minimum_required(VERSION 3.16)
project(user C)
find_package(neurodecode 0.1 REQUIRED)
add_executable(decode decode.c)
target_link_libraries(decode neurodecode::neurodecode)
"""
MESON = """project('user', 'c', default_options: ['c_std=c11'])
executable('decode', 'decode.c', dependencies: dependency('neurodecode', version: '>= 0.1'))
"""
WORLD = "--concepts 20 --train-repetitions 1 --test 10 --test-repetitions 2 --channels 17 --samples 100 --dim 16 --snr 1 --quiet".split()
root, build, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]


def run(*command, **extra):
    print("+", *command, flush=True)
    done = subprocess.run([*map(str, command)], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **extra})
    print(done.stdout)
    done.check_returncode()
    return done.stdout


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    shutil.copy(root / "examples/decode.c", work)
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder)
    tool, world = next(work.rglob("bin/neurodecode")), work / "world"
    library = next(work.rglob("libneurodecode.so")).parent
    here = {"LD_LIBRARY_PATH": str(library), "PKG_CONFIG_PATH": str(library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": folder}
    run(tool, "simulate", world, *WORLD, **here)

    flags = run("pkg-config", "--cflags", "--libs", "neurodecode", **here).split()
    run(*compiler, "-std=c11", "-Wall", "-Werror", work / "decode.c", "-o", work / "decode", *flags)
    run(work / "decode", world, **here)

    if shutil.which("cmake"):
        (work / "CMakeLists.txt").write_text(CMAKE)
        run("cmake", "-G", "Ninja", "-S", folder, "-B", work / "cmake", f"-Dneurodecode_DIR={library / 'cmake/neurodecode'}")
        run("cmake", "--build", work / "cmake")
        run(work / "cmake/decode", world)

    (work / "meson.build").write_text(MESON)
    (work / "subprojects").mkdir()
    (work / "subprojects/neurodecode").symlink_to(root)
    run("meson", "setup", work / "sub", folder, "--force-fallback-for=neurodecode")
    run("ninja", "-C", work / "sub")
    run(work / "sub/decode", world)
