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
target_link_libraries(decode neurodecode::neurodecode m)
"""
MESON = """project('user', 'c', default_options: ['c_std=c11'])
executable('decode', 'decode.c', dependencies: [dependency('neurodecode', version: '>= 0.1', fallback: 'neurodecode'),
           meson.get_compiler('c').find_library('m', required: false)])
"""
root, build, compiler = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2], sys.argv[3:]


def run(*command, **extra):
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, **extra}, stdout=subprocess.PIPE if "pkg-config" in command else None).stdout


def runs(program, work, **extra):
    shutil.rmtree(work / "world", ignore_errors=True)
    run(str(program), str(work / "world"), **extra)


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    shutil.copy(root / "examples/decode.c", work)
    run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", folder)
    library = next(work.rglob("libneurodecode.so")).parent
    here = {"LD_LIBRARY_PATH": str(library), "PKG_CONFIG_PATH": str(library / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": folder}

    flags = run("pkg-config", "--cflags", "--libs", "neurodecode", **here).split()
    run(*compiler, "-std=c11", "-Wall", "-Werror", str(work / "decode.c"), "-o", str(work / "decode"), *flags, "-lm")
    runs(work / "decode", work, **here)
    run(str(next(work.rglob("bin/neurodecode"))), "--version")

    if shutil.which("cmake"):
        (work / "CMakeLists.txt").write_text(CMAKE)
        run("cmake", "-S", folder, "-B", str(work / "cmake"), f"-Dneurodecode_DIR={library / 'cmake/neurodecode'}")
        run("cmake", "--build", str(work / "cmake"))
        runs(work / "cmake/decode", work)

    (work / "meson.build").write_text(MESON)
    (work / "subprojects").mkdir()
    (work / "subprojects/neurodecode").symlink_to(root)
    run("meson", "setup", str(work / "sub"), folder, "--wrap-mode=nodownload", "--force-fallback-for=neurodecode")
    run("meson", "compile", "-C", str(work / "sub"), "decode")
    runs(work / "sub/decode", work)
